"""Defects of payloads: JSON, UTF-8, line breaks, deltas, and text that breaks out of its frame."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from streamgauge.mock_provider.faults.base import Arg, Facts, Fault, middle
from streamgauge.mock_provider.faults.edit import edit_payload, every_token, middle_token, with_struck
from streamgauge.mock_provider.stream import Action, Event, Item, Kind, PartKind, Pause, Write

STREAM = frozenset({"stream"})
SSE = STREAM | {"sse"}
JSON = SSE | {"json"}
ANY_JSON = STREAM | {"json"}  # in an event stream or in NDJSON
RAW = SSE | {"raw"}
CUSTOM = SSE | {"custom"}
# How a JSON encoder escapes a lone byte (a surrogate of PEP 383), unless it is the second half of a pair.
_LONE_BYTE = re.compile(rb"(?<!\\ud[89ab][0-9a-f][0-9a-f])\\udc([89a-f][0-9a-f])")
# A run of \u escapes, or another escape, matched so that its second character does not start a match.
_ESCAPES = re.compile(rb"((?:\\u[0-9a-f]{4})+)|\\.")
OVERSIZED_BYTES = 65_536  # the usual limit of line readers
_DATA_LINE = re.compile(rb"^data: (.*)\n", re.MULTILINE)
CUT_CHARACTERS = 4  # the first ones of an event; a pause after each byte of a long text would take seconds
APART_NS = 1_000_000
MOST_PAUSES = 1_000  # of a stream: with smaller writes still, nearly every one ends within a character
_CHARACTER = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")
# The beginning of a character at the end of a write, before the line end of its chunk.
_WITHIN_CHARACTER = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})(?:\r\n)?\Z")
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def _lone_bytes(data: bytes) -> bytes:
    return _LONE_BYTE.sub(lambda match: bytes([int(match[1], 16)]), data)


def _unescaped(data: bytes) -> bytes:
    """JSON with UTF-8 in place of \\u escapes; bytes around the JSON stay as they are."""

    def plain(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return match[0]
        text = json.loads(b'"%b"' % match[1])
        return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")

    return _ESCAPES.sub(plain, data)


def _cut_short(data: bytes) -> bytes:
    payload = data.rstrip(b"\n")
    return payload[:-1] + data[len(payload) :]


def _pretty(data: bytes) -> bytes:
    """Each JSON object indented over several data lines; an object that another fault has broken stays as it is."""

    def spread(match: re.Match[bytes]) -> bytes:
        try:
            value = json.loads(match[1])
        except ValueError:
            return match[0]
        lines = json.dumps(value, indent=2).split("\n") if isinstance(value, dict) else []
        return "".join(f"data: {line}\n" for line in lines).encode() or match[0]

    return _DATA_LINE.sub(spread, data)


def _two_lines(data: bytes) -> bytes:
    """Moves the opening brace to a line of its own: a newline between JSON tokens is legal (RFC 8259 section 2)."""
    return data.replace(b"data: {", b"data: {\ndata: ", 1)


def _with_bad_byte(source: Iterator[Item], _arg: Arg, facts: Facts) -> Iterator[Item]:
    for item, strikes in with_struck(source, middle(facts.tokens)):
        yield item._replace(text=item.text + "\udcff") if strikes else item


def _oversized(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    size = arg.count if arg.count is not None else OVERSIZED_BYTES
    for item, strikes in with_struck(source, middle(facts.tokens)):
        yield item._replace(text=item.text + "x" * size) if strikes else item


def _split_character(source: Iterator[Item], _arg: Arg, facts: Facts) -> Iterator[Item]:
    """The first multi-byte character from the middle token on is cut, and its tail moves to the next token."""
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
        if done or item.token is None or item.token < struck or item.token + 1 == facts.tokens:
            yield item
            continue
        data = item.text.encode("utf-8", "surrogateescape")
        match = _MULTIBYTE.search(data)
        if match is None:
            yield item
            continue
        cut = match.start() + 1
        yield item._replace(text=data[:cut].decode("utf-8", "surrogateescape"))
        carried, done = data[cut:].decode("utf-8", "surrogateescape"), True


def _split_writes(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        at = 0
        for match in islice(_CHARACTER.finditer(event.data), CUT_CHARACTERS):
            for cut in range(match.start() + 1, match.end()):
                yield event._replace(data=event.data[at:cut], token=None)
                at = cut
        yield event._replace(data=event.data[at:])


def _apart(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    """Pauses after each write that ends within a character, so that the next read does not take both."""
    left = MOST_PAUSES
    for action in source:
        yield action
        if left and isinstance(action, Write) and _WITHIN_CHARACTER.search(action.data):
            yield Pause(APART_NS)
            left -= 1


def _so_far(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    text = ""
    for item in source:
        if item.kind is Kind.OPEN:
            text = ""
        if item.kind is Kind.TOKEN:
            text += item.text
            yield item._replace(text=text)
        else:
            yield item


def _without_blanks(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    for item in source:
        # A relay drops blank text, but it does not look into a tool call's arguments.
        if item.kind is not Kind.TOKEN or item.part.kind is PartKind.TOOL or not item.text.isspace():
            yield item


def _other_shape(value: Any) -> Any:
    return value.get("token", value) if isinstance(value, dict) else {"token": value}


def _other_name(data: bytes) -> bytes:
    name, line_end, rest = data.partition(b"\n")
    return rest if name.startswith(b"event:") else b"event: token\n" + name + line_end + rest


def _pasted(data: bytes, newline: bytes = b"\n") -> bytes:
    """Only the first line of the text follows a field name, as if the text had been pasted in."""
    opening, prefix, text = data.partition(b"data: ")
    return opening + prefix + text.replace(b"\ndata: ", newline)


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
        name="multi-line-data",
        sentence="each JSON payload comes on two data lines (legal)",
        level="text",
        trips=("framing.single-line-json",),
        needs=JSON | {"object"},
        events=every_token(_two_lines),
    ),
    Fault(
        name="oversized-event",
        sentence=f"the middle token is BYTES longer (default {OVERSIZED_BYTES})",
        level="text",
        trips=("framing.event-size-64k",),
        takes="bytes",
        items=_oversized,
    ),
    Fault(
        name="bad-json",
        sentence="the middle token's payload lacks its last character",
        level="text",
        trips=("text.json-valid",),
        needs=ANY_JSON,
        events=middle_token(_cut_short),
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
        sentence="text is raw UTF-8, and each byte of a character comes in a write and a chunk of its own (legal)",
        level="text",
        text="unicode",
        line=_unescaped,
        body=_split_writes,
        wire=_apart,
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
        name="blanks-dropped",
        sentence="a token of only white space, such as a line break, is dropped as if it were empty",
        level="text",
        trips=("text.whitespace-roundtrip",),
        text="whitespace",
        items=_without_blanks,
    ),
    Fault(
        name="odd-shape",
        sentence="the middle token is a JSON string where the others are objects, or an object where they are strings",
        level="event",
        trips=("custom.consistent-shape",),
        needs=CUSTOM | {"json"},
        events=middle_token(lambda data: edit_payload(data, _other_shape)),
    ),
    Fault(
        name="odd-name",
        sentence="the middle token's event has a name where the others have none, or no name where they have one",
        level="event",
        trips=("custom.event-names-stable",),
        needs=CUSTOM,
        events=middle_token(_other_name),
    ),
    Fault(
        name="raw-separators",
        sentence="U+2028, U+2029 and U+0085 are not escaped in JSON (legal)",
        level="text",
        trips=("text.unicode-line-separators-escaped",),
        needs=ANY_JSON,
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
        events=every_token(_pasted),
    ),
    Fault(
        name="injection-raw",
        sentence="token text with forged events is written into the stream without escaping",
        level="security",
        trips=("security.sse-injection",),
        needs=RAW,
        text="injection",
        events=every_token(_pasted),
    ),
    Fault(
        name="injection-cr",
        sentence="token text forges events with CR alone, which a check for LF misses",
        level="security",
        trips=("security.sse-injection",),
        needs=RAW,
        text="injection",
        events=every_token(lambda data: _pasted(data, b"\r")),
    ),
    Fault(
        name="injection-crlf",
        sentence="token text forges events with CRLF",
        level="security",
        trips=("security.sse-injection",),
        needs=RAW,
        text="injection",
        events=every_token(lambda data: _pasted(data, b"\r\n")),
    ),
    Fault(
        name="injection-json",
        sentence="token text forges events, because line breaks in JSON strings are not escaped",
        level="security",
        trips=("security.sse-injection", "text.json-valid", "framing.known-fields"),
        needs=JSON,
        text="injection",
        events=every_token(lambda data: data.replace(b"\\n", b"\n")),
    ),
    Fault(
        name="injection-quote",
        sentence="token text forges members of a JSON object, because its quotes are not escaped",
        level="security",
        trips=("security.sse-injection",),
        needs=ANY_JSON | {"object"},
        text="injection",
        events=every_token(lambda data: data.replace(b'\\"', b'"')),
    ),
)
