"""Requests as values, and response bytes: heads, chunks, whole replies."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

LAST_CHUNK = b"0\r\n\r\n"
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)


@dataclass(slots=True)
class Request:
    """A request whose body has been read whole; header names are lower-case, the last duplicate wins."""

    method: str
    target: str
    http_version: str
    headers: dict[str, str]
    body: bytes
    arrival_ns: int  # CLOCK_REALTIME
    arrival_monotonic_ns: int
    keep_alive: bool
    authority: str = field(init=False)  # host and port of an absolute target, else of Host; empty without both
    path: str = field(init=False)
    query: dict[str, list[str]] = field(init=False)
    places: dict[str, str] = field(init=False, default_factory=dict)  # values of the route's placeholders

    def __post_init__(self) -> None:
        authority, self.path, query = split_target(self.target)
        self.authority = authority or self.headers.get("host", "")
        try:
            self.query = parse_qs(query, keep_blank_values=True, max_num_fields=100)
        except ValueError:
            self.query = {}

    def argument(self, name: str) -> str | None:
        """The first value of a query argument, None when it is missing."""
        values = self.query.get(name)
        return values[0] if values else None

    def accepts_gzip(self) -> bool:
        """Whether Accept-Encoding allows gzip (RFC 9110 section 12.5.3; `q=0` forbids it)."""
        for offer in self.headers.get("accept-encoding", "").lower().split(","):
            coding, _, parameters = offer.partition(";")
            if coding.strip() in ("gzip", "x-gzip", "*"):
                return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        return False


def split_target(target: str) -> tuple[str, str, str]:
    """Authority, path and query of a request target (RFC 9112 section 3.2).

    `urlsplit` alone would take the first segment of the path "//a/b" for an authority.
    """
    if not _ABSOLUTE.match(target):
        path, _, query = target.partition("?")
        return "", path, query
    try:
        parts = urlsplit(target)
    except ValueError:  # such as "http://[", which no route matches
        return "", target, ""
    return parts.netloc, parts.path or "/", parts.query


@dataclass(slots=True)
class Reply:
    """A short answer that is written whole: errors, listings, the control API."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


def json_reply(status: int, value: Any, *headers: tuple[str, str]) -> Reply:
    """A reply with `value` as JSON."""
    return Reply(status, json.dumps(value).encode(), headers=list(headers))


def reason(status: int) -> str:
    """The standard reason phrase of a status; empty for an unknown number."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def head_bytes(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Status line and header fields, blank line included."""
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
