"""Untrusted text: the characters that act on the terminal, browser or editor that shows it, and its length."""

import re
from typing import Final

# C0 and C1 controls except tab and newline. Direction marks, embeddings, overrides and isolates, which can show text in
# another order than it has. U+2028 and U+2029, which break lines. Invisible characters: tag characters can carry hidden
# words. Surrogates and non-characters, which neither UTF-8 nor XML may hold. ZWJ and ZWNJ are allowed: words of some
# languages and emoji need them.
UNSAFE_CHARACTERS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)

MOST_NAME_CHARS: Final = 200
"""Of a name that an endpoint gives: a finish reason, an event's name, a media type."""
MOST_DETAIL_CHARS: Final = 1_000
"""Of a sentence that quotes an endpoint."""


def brief(text: str, most: int = MOST_NAME_CHARS) -> str:
    """The text, or its beginning and how long it is: a name of a megabyte would fill a record or a terminal."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"
