"""Secrets: which headers and query parameters hold one, and their masking in records, reports, logs and curl lines."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

MASK: Final = "***"
_NAMES: Final = re.compile(r"auth|api-?_?key|token|secret|cookie|password|credential|signature", re.IGNORECASE)
_SHORT: Final = frozenset({"key", "sig", "code", "access_key"})


def is_secret(name: str) -> bool:
    """Whether a header or query parameter of this name usually carries a credential."""
    return name.lower() in _SHORT or _NAMES.search(name) is not None


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers with secret values replaced."""
    return {name: MASK if is_secret(name) else value for name, value in headers.items()}


def mask_url(url: str) -> str:
    """The same URL without user info and with secret query values replaced."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    query = parts.query
    if query and any(is_secret(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(n, MASK if is_secret(n) else v) for n, v in pairs], quote_via=quote, safe="*")
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))
