"""Patterns of secrets: a check looks for them, and they are masked in everything that quotes an endpoint.

These are secrets of anybody. Those that the user gave are known by value: see secrets.py.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from streamgauge.secrets import hide, in_url, mask_url
from streamgauge.spellings import LEAST

MOST_NAME_CHARS: Final = 200
"""Of a name that an endpoint gives: a finish reason, an event's name, a media type."""
MOST_DETAIL_CHARS: Final = 1_000
"""Of a sentence that quotes an endpoint."""
_MOST_SECRET_CHARS: Final = 16 * 1024


class Secret(NamedTuple):
    """A kind of secret and how it is recognised."""

    name: str
    pattern: re.Pattern[str]
    marks: tuple[str, ...]
    """Every match, in lower case, holds one of these. To look for them takes a fortieth of the time of the search."""


# Each needs enough random-looking characters, so that prose about keys ("sk-...", "Bearer token") does not match.
# Repeats before a required character are bounded: otherwise a hostile body costs the square of its size.
SECRETS: Final = (
    Secret("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"), ("sk-",)),
    Secret("a bearer token", re.compile(r"\bBearer\s+[A-Za-z0-9._~+/-]{16,}", re.IGNORECASE), ("bearer",)),
    Secret("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), ("akia", "asia")),
    Secret("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,300}\.eyJ[A-Za-z0-9_-]{8,}"), ("eyj",)),
    Secret(
        "a password in a URL",
        re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"]{1,100}:[^\s/@\"]{1,200}@", re.IGNORECASE),
        ("://",),
    ),
    Secret(
        "a connection string",
        re.compile(r"\b(?:AccountKey|SharedAccessKey|Password|Pwd|api[_-]?key)\s*=\s*[^\s;\"&]{6,}", re.IGNORECASE),
        ("=",),
    ),
)
_URL: Final = re.compile(r"\bhttps?://[^\s\"'<>\\\\]{1,8000}")


def possible(text: str) -> Iterator[Secret]:
    """The kinds of secrets that `text` can hold; a search must show whether it does."""
    lower = text.lower()
    return (secret for secret in SECRETS if any(mark in lower for mark in secret.marks))


def is_like_one(text: str) -> bool:
    """Whether a text holds what looks like a secret."""
    return any(secret.pattern.search(text) for secret in possible(text))


def mask(text: str) -> str:
    """`text` with every secret reduced to its first characters, and without the secrets in its URLs."""
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    for secret in possible(text):
        text = secret.pattern.sub(lambda match: f"{match[0][:6]}***", text)
    return text


def quoted(text: str) -> str:
    """A text of an endpoint as it may be quoted: without the user's secrets, and without what looks like a secret."""
    return text if len(text) < LEAST else mask(hide(text))


def beginning(text: str, most: int) -> str:
    """`quoted`, and no more than `most` characters of it: a text of megabytes costs no more than its beginning."""
    return quoted(text[: most + _MOST_SECRET_CHARS])[:most]


def brief(text: str, most: int = MOST_NAME_CHARS) -> str:
    """A text of an endpoint as it may be quoted, or its beginning and how long it is.

    A name of a megabyte would fill a record or a terminal. The secrets go first: a cut through one would hide it.
    """
    if len(text) <= most:
        return quoted(text)
    return f"{beginning(text, most)}... ({len(text):,} characters)"


def _masked_url(match: re.Match[str]) -> str:
    return mask_url(match[0]) if any(in_url(match[0])) else match[0]
