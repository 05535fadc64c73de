"""Patterns of secrets: a check looks for them, and everything that is quoted has them masked."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


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


def possible(text: str) -> Iterator[Secret]:
    """The kinds of secrets that `text` can hold; a search must show whether it does."""
    lower = text.lower()
    return (secret for secret in SECRETS if any(mark in lower for mark in secret.marks))


def mask(text: str) -> str:
    """`text` with every secret reduced to its first characters."""
    for secret in possible(text):
        text = secret.pattern.sub(lambda match: f"{match[0][:6]}***", text)
    return text
