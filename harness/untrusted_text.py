"""Characters of untrusted text that act on the terminal, browser or editor that shows it, and must be escaped."""

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
