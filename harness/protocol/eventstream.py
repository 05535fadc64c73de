"""The event-stream format, strictly: https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2.6.

There are two stages, because framing checks judge lines and everything else judges events:

    bytes ──Lexer──► Line(offset, bytes, terminator, read) ──Interpreter──► Event(type, data, id, offset, read)

A line ended by CR is complete at once: waiting to see whether LF follows would hold an event back until the next
read, and the harness would measure its own delay. If the LF does come, it is swallowed and the line's terminator is
corrected. This file is the rule; eventstream_fast.py gives the same events sooner where the input is plain.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from streamgauge.errors import LimitExceeded

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
# System.Net.ServerSentEvents allows as much, the most of all clients whose source was read.
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
# Larger values are clamped: converting a number of a million digits would take minutes.
MAX_RETRY_MS: Final = 10**18
_MOST_RETRY_DIGITS: Final = 18

BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@dataclass(slots=True)
class Line:
    """One line: its offset in the body, its bytes without terminator, the terminator, and the read that completed it.

    `terminator` is LF, CR or CRLF. It is empty for bytes that the end of the body left without one.
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
        # Pieces of the unfinished line, joined only when its end comes: joining at each piece would be quadratic.
        self._parts: list[bytes] = []
        self._pending = 0
        self._offset = 0
        self._started = False
        self._cr_line: Line | None = None
        self.had_bom = False

    @property
    def offset(self) -> int | None:
        """Where the next line begins; None in the middle of a line or BOM, and while the LF of a CRLF may come."""
        return None if self._parts or self._cr_line is not None else self._offset

    def skip(self, size: int) -> None:
        """Step over whole lines without BOM that the fast path has cut; allowed only where `offset` is known."""
        self._started = True
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
            # A BOM has three bytes, so one or two bytes that begin like it have to wait.
            data = self._take() + data
            if len(data) < len(BOM) and BOM.startswith(data):
                self._keep(data)
                return []
            self._started = True
            if data.startswith(BOM):
                self.had_bom = True
                self._offset += len(BOM)
                data = data[len(BOM) :]
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
        """The line that the end of the body left without terminator, or None."""
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
        """Whether fields wait for the blank line that would dispatch them."""
        return bool(self._data or self._type)

    @property
    def plain_id(self) -> str | None:
        """The last event id; None while fields, or an id alone, still wait for their blank line."""
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
            self.retry_ms = int(digits or b"0") if len(digits) <= _MOST_RETRY_DIGITS else MAX_RETRY_MS
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
