"""The event-stream format, strictly: https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2.6.

Two stages, because framing checks judge lines and everything else judges events:

    bytes ──Lexer──► Line(offset, bytes, terminator, read) ──Interpreter──► Event(type, data, id, offset, read)

A line ended by CR is complete at once: waiting to see whether LF follows would hold an event back until the next
read, and that delay would be ours. If the LF does come, it is swallowed and the line's terminator is corrected.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any, Final, NamedTuple, TypeVar

from streamgauge.errors import LimitExceeded

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_EVENT_BYTES: Final = (
    64 * 1024 * 1024
)  # what System.Net.ServerSentEvents allows; the largest of the clients looked at

MAX_RETRY_MS: Final = 10**18  # any more is told as this: a number of a million digits is nobody's time
_RETRY_DIGITS: Final = 18

_PLAIN_BYTES: Final = 1024 * 1024  # more goes the way that knows the limits

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@dataclass(slots=True)
class Line:
    """One line: its offset in the body, its bytes without terminator, the terminator, and the read that completed it.

    `terminator` is LF, CR or CRLF, or empty for bytes left over at the end of the body.
    """

    offset: int
    raw: bytes
    terminator: bytes
    read_index: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the terminator."""
        return self.offset + len(self.raw) + len(self.terminator)

    @property
    def is_comment(self) -> bool:
        return self.raw.startswith(b":")

    @property
    def field(self) -> bytes | None:
        """The field name; None for blank lines and comments."""
        if not self.raw or self.is_comment:
            return None
        return self.raw.partition(b":")[0]

    @property
    def value(self) -> bytes:
        """The field value, one space after the colon removed (9.2.6: exactly one U+0020, nothing else)."""
        after = self.raw.partition(b":")[2]
        return after[1:] if after.startswith(b" ") else after


T = TypeVar("T", bound=tuple[Any, ...])


def many(kind: type[T], *columns: Iterable[Any]) -> list[T]:
    """Named tuples from their columns, as long as the shortest; their own constructor takes three times as long."""
    return list(map(tuple.__new__, repeat(kind), zip(*columns, strict=False)))


class Event(NamedTuple):
    """One dispatched event: its lines are the bytes `offset` to `end` of the body; `read_index` completed it.

    `end` is where the blank line begins, so that it does not depend on how a CRLF was cut into reads.
    """

    type: str
    data: str
    id: str
    offset: int
    end: int
    read_index: int


class Lexer:
    """Cuts a body into lines as its pieces come. Raises LimitExceeded on a line above MAX_LINE_BYTES."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        # Pieces of the unfinished line; joined only when its end comes, so one-byte pieces stay linear.
        self._parts: list[bytes] = []
        self._pending = 0
        self._offset = 0
        self._started = False
        self._cr_line: Line | None = None
        self.had_bom = False

    @property
    def offset(self) -> int | None:
        """Where the next line begins; None in the middle of one, and while a BOM or the rest of a CRLF may come."""
        return None if self._parts or self._cr_line is not None or not self._started else self._offset

    def skip(self, size: int) -> None:
        """Go on behind lines that were cut elsewhere; only where `offset` is known."""
        self._offset += size

    def feed(self, data: bytes, read: int) -> list[Line]:
        """The lines that `data` completes."""
        if not data:
            return []
        if self._cr_line is not None:
            if data.startswith(b"\n"):
                self._cr_line.terminator = b"\r\n"
                self._offset += 1
                data = data[1:]
            self._cr_line = None
        if not self._started:
            # Only the first three bytes can tell, so fewer wait unless they already rule a BOM out.
            data = self._take() + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._keep(data)
                return []
            self._started = True
            if data.startswith(_BOM):
                self.had_bom = True
                self._offset += len(_BOM)
                data = data[len(_BOM) :]
        lines: list[Line] = []
        start = 0
        for match in _LINE_END.finditer(data):
            at, after = match.span()
            raw = self._take() + data[start:at] if self._parts else data[start:at]
            if len(raw) > self._max:
                raise self._too_long()
            line = Line(self._offset, raw, data[at:after], read)
            lines.append(line)
            self._offset = line.end
            start = after
        if start < len(data):
            self._keep(data[start:])
        elif lines and lines[-1].terminator == b"\r":
            self._cr_line = lines[-1]
        return lines

    def finish(self, read: int) -> Line | None:
        """What is left when the body ends: an unterminated line, or None."""
        raw = self._take()
        return Line(self._offset, raw, b"", read) if raw else None

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._pending += len(data)
        if self._pending > self._max:
            raise self._too_long()

    def _too_long(self) -> LimitExceeded:
        return LimitExceeded(
            f"a line of the event stream is longer than {self._max:,} bytes (it starts at byte {self._offset:,})",
            "a line this long breaks most clients: send the content in smaller events",
        )

    def _take(self) -> bytes:
        raw = b"".join(self._parts)
        self._parts.clear()
        self._pending = 0
        return raw


class Interpreter:
    """Turns lines into events by section 9.2.6. Raises LimitExceeded on an event above MAX_EVENT_BYTES."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._data: list[bytes] = []
        self._size = 0
        self._type = b""
        self._id = ""
        self._last_event_id = ""
        self._start: int | None = None
        self.retry_ms: int | None = None

    @property
    def pending(self) -> bool:
        """True while fields wait for the blank line that would dispatch them."""
        return bool(self._data or self._type)

    @property
    def plain_id(self) -> str | None:
        """The last event id; None while fields wait for their blank line, or an id that none has dispatched yet."""
        return self._id if self._start is None and self._id == self._last_event_id else None

    def feed(self, line: Line) -> Event | None:
        """The event that `line` dispatches, if it is the blank line after at least one `data` field."""
        raw = line.raw
        if not raw:
            return self._dispatch(line)
        if self._start is None:
            self._start = line.offset
        name, _, value = raw.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._max:
                raise LimitExceeded(
                    f"an event is larger than {self._max:,} bytes (it starts at byte {self._start:,})",
                    "end each event with a blank line, and send the content in smaller events",
                )
        elif name == b"event":
            self._type = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():  # bytes.isdigit is ASCII digits only, as the standard asks
            digits = value.lstrip(b"0")
            self.retry_ms = int(digits or b"0") if len(digits) <= _RETRY_DIGITS else MAX_RETRY_MS
        return None

    def _dispatch(self, line: Line) -> Event | None:
        start = line.offset if self._start is None else self._start
        data, kind = self._data, self._type
        self._data, self._size, self._type, self._start = [], 0, b"", None
        self._last_event_id = self._id
        if not data:
            return None
        return Event(
            kind.decode("utf-8", "replace") or "message",
            b"\n".join(data).decode("utf-8", "replace"),
            self._last_event_id,
            start,
            line.offset,
            line.read_index,
        )


def plain_events(lexer: Lexer, interpreter: Interpreter, data: bytes, read: int) -> list[Event] | None:
    """What the two give for `data`, at a tenth of the cost, if it is nothing but plain events; else None.

    A plain event is one `data` line, perhaps behind an `event` line, all ended by LF: nearly every token of every
    provider is one.
    """
    offset = lexer.offset
    last_id = interpreter.plain_id
    if offset is None or last_id is None or not data.endswith(b"\n\n") or b"\r" in data or len(data) > _PLAIN_BYTES:
        return None
    events = []
    for block in data[:-2].split(b"\n\n"):
        kind, value = "message", block
        if block.startswith(b"event: "):
            name, _, value = block.partition(b"\n")
            kind = name[7:].decode("utf-8", "replace") or kind
        if not value.startswith(b"data: ") or b"\n" in value:
            return None
        end = offset + len(block) + 1
        events.append(Event(kind, value[6:].decode("utf-8", "replace"), last_id, offset, end, read))
        offset = end + 1
    lexer.skip(len(data))
    return events


def plain_runs(lexer: Lexer, interpreter: Interpreter, pieces: list[bytes], reads: list[int]) -> list[Event] | None:
    """`plain_events` for many pieces of unnamed plain events, at a third of the cost."""
    offset = lexer.offset
    last_id = interpreter.plain_id
    body = b"".join(pieces)
    if offset is None or last_id is None or b"\r" in body or len(body) > _PLAIN_BYTES or not body.endswith(b"\n\n"):
        return None
    sizes = [len(block) + 2 for block in body[:-2].split(b"\n\n")]
    separators = body.count(b"\n\ndata: ")
    if body.count(b"\n") != 2 * len(sizes) or separators != len(sizes) - 1 or not body.startswith(b"data: "):
        return None
    if sizes != list(map(len, pieces)):
        if not all(piece.endswith(b"\n\n") for piece in pieces):
            return None
        counts = [piece.count(b"\n\n") for piece in pieces]
        reads = [read for read, count in zip(reads, counts, strict=True) for _ in range(count)]
    try:
        data = body[6:-2].decode().split("\n\ndata: ")
    except UnicodeDecodeError:  # what is broken is replaced within its own event
        data = [block[6:].decode("utf-8", "replace") for block in body[:-2].split(b"\n\n")]
    starts = list(accumulate(sizes, initial=offset))
    ends = [start - 1 for start in starts[1:]]
    lexer.skip(len(body))
    return many(Event, repeat("message"), data, repeat(last_id), starts, ends, reads)
