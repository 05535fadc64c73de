"""Payloads that are not what they should be: JSON, UTF-8, line breaks, deltas."""

import json
import re
from collections.abc import Iterator

from mock_provider.faults.base import Arg, Facts, Fault, middle
from mock_provider.faults.edit import edit_payload, every_token, middle_token
from mock_provider.stream import Event, Item, Kind

STREAM = frozenset({"stream"})
SSE = STREAM | {"sse"}
JSON = SSE | {"json"}
RAW = SSE | {"raw"}
# A JSON encoder escapes a lone byte (a surrogate of PEP 383) like this; the second half of a pair is not one.
_LONE_BYTE = re.compile(rb"(?<!\\ud[89ab][0-9a-f][0-9a-f])\\udc([89a-f][0-9a-f])")
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def _lone_bytes(data: bytes) -> bytes:
    return _LONE_BYTE.sub(lambda match: bytes([int(match[1], 16)]), data)


def _unescaped(data: bytes) -> bytes:
    """JSON with its non-ASCII characters as UTF-8 instead of escapes."""
    return edit_payload(data, lambda value: value, ensure_ascii=False)


def _pretty(data: bytes) -> bytes:
    opening, _, payload = data.removesuffix(b"\n\n").partition(b"data: ")
    lines = json.dumps(json.loads(payload), indent=2).split("\n")
    return opening + "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def _with_bad_byte(source: Iterator[Item], _arg: Arg, facts: Facts) -> Iterator[Item]:
    struck = middle(facts.tokens)
    for item in source:
        yield item._replace(text=item.text + "\udcff") if item.token == struck else item


def _split_character(source: Iterator[Item], _arg: Arg, facts: Facts) -> Iterator[Item]:
    """From the middle token on, the first character that can be cut loses its tail to the next token."""
    struck = middle(facts.tokens)
    if facts.tokens is not None:
        struck = max(0, min(struck, facts.tokens - 2))  # the tail needs a token to go to
    carried: str | None = None
    done = False
    for item in source:
        if carried is not None:
            yield item._replace(text=carried + item.text)
            carried = None
            continue
        if done or item.token is None or item.token < struck or item.text.isascii() or item.token + 1 == facts.tokens:
            yield item
            continue
        data = item.text.encode()
        match = _MULTIBYTE.search(data)
        assert match is not None  # the text is not ASCII
        cut = match.start() + 1
        yield item._replace(text=data[:cut].decode("utf-8", "surrogateescape"))
        carried, done = data[cut:].decode("utf-8", "surrogateescape"), True


def _split_writes(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        match = _MULTIBYTE.search(event.data)
        if match is None:
            yield event
            continue
        cut = match.start() + 1
        yield event._replace(data=event.data[:cut], token=None)
        yield event._replace(data=event.data[cut:])


def _so_far(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    text = ""
    for item in source:
        if item.kind is Kind.TOKEN:
            text += item.text
            yield item._replace(text=text)
        else:
            yield item


def _unprefixed(data: bytes) -> bytes:
    """Only the first line of the text has its field name, as if it had been pasted in."""
    opening, prefix, text = data.partition(b"data: ")
    return opening + prefix + text.replace(b"\ndata: ", b"\n")


FAULTS = (
    Fault(
        name="pretty-json",
        sentence="each JSON payload is indented over several data lines (legal)",
        level="text",
        trips=("framing.single-line-json",),
        needs=JSON | {"object"},
        events=every_token(_pretty),
    ),
    Fault(
        name="bad-json",
        sentence="the middle token's payload lacks its last character",
        level="text",
        trips=("text.json-valid",),
        needs=JSON,
        events=middle_token(lambda data: data.removesuffix(b"\n\n")[:-1] + b"\n\n"),
    ),
    Fault(
        name="utf8-invalid",
        sentence="the middle token contains the byte FF",
        level="text",
        trips=("text.utf8-valid",),
        items=_with_bad_byte,
        line=_lone_bytes,
    ),
    Fault(
        name="split-utf8",
        sentence="the bytes of one character are split over two events, so that both are invalid",
        level="text",
        trips=("text.utf8-valid",),
        text="unicode",
        items=_split_character,
        line=_lone_bytes,
    ),
    Fault(
        name="split-utf8-writes",
        sentence="unescaped characters are split over two writes (legal)",
        level="text",
        text="unicode",
        line=_unescaped,
        body=_split_writes,
    ),
    Fault(
        name="cumulative",
        sentence="each token repeats the whole text so far",
        level="event",
        trips=("text.delta-not-cumulative",),
        needs=STREAM | {"finite"},
        items=_so_far,
    ),
    Fault(
        name="raw-separators",
        sentence="U+2028, U+2029 and U+0085 stand unescaped in JSON (legal)",
        level="text",
        trips=("text.unicode-line-separators-escaped",),
        needs=JSON,
        text="separators",
        line=_unescaped,
    ),
    Fault(
        name="raw-newline",
        sentence="the second line of a token has no data: before it",
        level="text",
        trips=("framing.data-prefix-every-line", "text.newline-roundtrip", "framing.known-fields"),
        needs=RAW,
        text="newlines",
        events=every_token(_unprefixed),
    ),
    Fault(
        name="injection-raw",
        sentence="token text that forges events is written into the stream as it is",
        level="security",
        trips=("security.sse-injection",),
        needs=RAW,
        text="injection",
        events=every_token(_unprefixed),
    ),
)
