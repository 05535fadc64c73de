"""Secrets: what the user gave that must not come out again, and its masking in everything that leaves the process.

A secret is masked in two ways. By name: behind the name of a header, a query parameter or a field of a body it is
replaced, whatever its length. By value: an endpoint may repeat it anywhere, so a process knows the secrets that it was
given (`learn`), and replaces them in every text that goes out (`hide`): the terminal, errors, records, files, logs.

A value of fewer than `LEAST` (8) characters is masked by name only: replacing `dev` or `1234` wherever they stand would
make a report unreadable, and would not keep so short a secret.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from streamgauge.spellings import LEAST, Span, finder, merged

MASK: Final = "***"
_NAMES: Final = re.compile(
    r"auth|api-?_?key|token(?!s|i|_?-?(?:type|count|limit))|secret|cookie|passw(?:or)?d|passphrase|credential|signature"
    r"|assertion|jwt|session|[-_]key$",
    re.IGNORECASE,
)
_SHORT: Final = frozenset({"key", "sig", "code", "access_key", "pwd", "pass", "sid"})
_URL_HEADERS: Final = frozenset({"location", "content-location", "referer"})
_PAIR: Final = re.compile(r"""[\w.-]+=("[^"]*"|[^\s;,]*)""")
_PAIRS: Final = re.compile(rf"\s*{_PAIR.pattern}(?:\s*[;,]\s*{_PAIR.pattern})*\s*;?\s*")
_USERINFO: Final = re.compile(r"^[^/?#]*//([^/?#]*)@")
_JSON_FIELD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:\s*)"(?:[^"\\]|\\.)*"', re.DOTALL)
_FORM_FIELD: Final = re.compile(r"([^&=\s\"{}]+)=([^&]*)")
_LONGEST_SPELLING: Final = 12  # characters for one of a secret: `\\u00XX`, escaped twice
_REMEMBERED_CHARS: Final = 2_000  # of a text whose masked form is remembered: a load sees the same error often


def is_secret(name: str) -> bool:
    """Whether a header, query parameter or field of this name usually carries a credential."""
    return name.lower() in _SHORT or _NAMES.search(name) is not None


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers with secret values replaced."""
    return {name: mask_header(name, value) for name, value in headers.items()}


def mask_header(name: str, value: str) -> str:
    """The value of a header as it may be shown: masked behind a secret name, and as a URL where it is one."""
    if is_secret(name):
        return MASK
    return mask_url(value) if name.lower() in _URL_HEADERS else value


def mask_url(url: str) -> str:
    """The same URL without user info and with secret query values replaced; also a text that is not a valid URL."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as a bracket without its partner
        return _USERINFO.sub(lambda match: match[0][: match.start(1) - match.start()], url).partition("?")[0]
    netloc = parts.netloc.rpartition("@")[2]
    query = parts.query
    if query and any(is_secret(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(n, MASK if is_secret(n) else v) for n, v in pairs], quote_via=quote, safe="*")
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def mask_body(body: str) -> str:
    """The same request body with the values of secret fields replaced: JSON, or a form."""
    if body.lstrip()[:1] in ("{", "["):
        return _JSON_FIELD.sub(lambda m: f'"{m[1]}"{m[2]}"{MASK}"' if is_secret(m[1]) else m[0], body)
    return _FORM_FIELD.sub(lambda m: f"{m[1]}={MASK}" if is_secret(m[1]) else m[0], body)


def in_header(value: str) -> Iterator[str]:
    """The secrets in the value of a secret header: without the name of the scheme, and each value of a list.

    `Bearer K` holds K; `Basic` also the pair and the password; a cookie its values.
    """
    scheme, space, rest = value.strip().partition(" ")
    if scheme.lower() == "basic":
        yield from in_userinfo(_decoded(rest))
    if listed := next((text for text in (value, rest) if text and _PAIRS.fullmatch(text)), None):
        yield from (match[1].strip('"') for match in _PAIR.finditer(listed))
        if "=" in listed.rstrip("="):
            return
    yield rest.strip() if space else scheme


def in_userinfo(userinfo: str) -> Iterator[str]:
    """The secrets in `user:password`: the password, and the pair, which Basic credentials encode as one."""
    password = userinfo.partition(":")[2]
    yield from (userinfo, password) if password else (userinfo,)


def in_url(url: str) -> Iterator[str]:
    """The secrets in a URL: its user info, and the values of parameters with secret names."""
    if match := _USERINFO.match(url):
        yield from in_userinfo(unquote(match[1]))
    for part in re.split(r"[?#]", url)[1:]:
        yield from (value for name, value in parse_qsl(part, keep_blank_values=True) if is_secret(name))


def in_body(body: str) -> Iterator[str]:
    """The secrets in a request body: the texts of fields with secret names, in JSON or in a form."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        yield from (unquote(match[2].replace("+", " ")) for match in _FORM_FIELD.finditer(body) if is_secret(match[1]))
    else:
        yield from _in_fields(value)


def _in_fields(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _in_fields(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and is_secret(name):
                yield from in_header(item)
            else:
                yield from _in_fields(item)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


class Secrets:
    """Values that must not go out. A value of fewer than LEAST characters is left out."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = frozenset(value for value in values if len(value) >= LEAST)
        self.reach = _LONGEST_SPELLING * max(map(len, self.values), default=0)
        self._find = finder(self.values)
        self._remembered = lru_cache(maxsize=1024)(self._masked)

    def spans(self, text: str, *, escaped: bool = True) -> list[Span]:
        """The parts of `text` that repeat a secret, in any spelling (see `Finder`): in order, without overlaps."""
        return self._find(text, escaped=escaped) if self.values and len(text) >= LEAST else []

    def hide(self, text: str) -> str:
        """`text` with MASK in place of every secret, and of every part of one by which it could be recognised."""
        if not self.values or len(text) < LEAST:
            return text
        return self._remembered(text) if len(text) <= _REMEMBERED_CHARS else self._masked(text)

    def _masked(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        for start, end in self.spans(text):
            parts += text[at:start], MASK
            at = end
        return "".join((*parts, text[at:]))


_known = Secrets()


def known() -> Secrets:
    """The secrets that this process was given so far."""
    return _known


def learn(values: Iterable[str]) -> None:
    """Hide these values from now on."""
    global _known
    new = {value for value in values if len(value) >= LEAST} - _known.values
    if new:
        _known = Secrets(_known.values | new)


def forget() -> None:
    """Know no secret any more. For tests, which run many commands in one process."""
    global _known
    _known = Secrets()


def hide(text: str) -> str:
    """`text` with every secret of this process masked."""
    return _known.hide(text)


def hidden_content(content: bytes) -> bytes:
    """The content of a file with every secret of this process masked, if it is text."""
    if not _known.values:
        return content
    try:
        return hide(content.decode()).encode()
    except UnicodeDecodeError:
        return content


def hidden_piece(content: bytes, start: int, end: int, also: Sequence[Span] = ()) -> bytes:
    """A piece of bytes with the secrets of this process masked, also those that begin before it or end after it.

    `also` are further parts of `content` to mask.
    """
    if not _known.values:
        return content[start:end]
    before = max(0, start - _known.reach)
    text = content[before : end + _known.reach].decode("latin-1")
    parts: list[str] = []
    at = start - before
    for span in merged([*_known.spans(text), *(Span(span.start - before, span.end - before) for span in also)]):
        if span.end > at and span.start < end - before:
            parts += text[at : max(span.start, at)], MASK
            at = span.end
    return "".join((*parts, text[at : end - before])).encode("latin-1")
