"""Cutters turn the decoded bytes of a body into events: one for event streams, one for NDJSON, one for plain text."""

import codecs
from typing import Final, Protocol

from streamgauge.errors import LimitExceeded
from streamgauge.protocol.dialects.payload import object_of
from streamgauge.protocol.eventstream import MAX_LINE_BYTES, Event, Interpreter, Lexer, Line
from streamgauge.protocol.eventstream_fast import plain_events, plain_runs
from streamgauge.protocol.transcript import Transcript

# Servers write the JSON error of a broken stream outside any event: Google's front end, pretty-printed over some lines
# (Gemini), and many relays that copy a backend's answer. The beginnings of its first line, and of its later lines.
_BARE_STARTS: Final = ((b"{",), (b" ", b"}"))
_MOST_BARE_LINES: Final = 100
# A stream of comments, blank lines or ids alone brings nothing, and a line costs a microsecond. Heartbeats of hours are
# some thousands of lines.
MAX_IDLE_LINES: Final = 100_000
LINES_AN_EVENT: Final = 100  # so many lines more for each event
_ERROR_FIELD: Final = b"error:"
"""The beginning of a line with which some servers report an error. No standard has such a field; parsers drop it."""


class Cutter(Protocol):
    """Takes a body piece by piece and gives the events that each piece completes; `read` is the index of its read."""

    def feed(self, data: bytes, read: int) -> list[Event]: ...
    def finish(self, read: int) -> list[Event]: ...


class _Lines:
    """Counts the lines of a stream, and its events."""

    def __init__(self) -> None:
        self._left = MAX_IDLE_LINES

    def count(self, lines: int, events: int) -> None:
        """Raises LimitExceeded on more lines than any stream needs for its events."""
        self._left += LINES_AN_EVENT * events - lines
        if self._left < 0:
            raise LimitExceeded(
                f"more than {MAX_IDLE_LINES:,} lines came, and fewer than one event in {LINES_AN_EVENT} of them",
                "comments, ids and blank lines keep a connection open, but one a second is enough",
            )


class SseCutter:
    """Event streams: Lexer and Interpreter, or their fast path when no lines have to be kept."""

    def __init__(self, transcript: Transcript, keep: bool) -> None:
        self._lexer = Lexer()
        self._interpreter = Interpreter()
        self._transcript = transcript
        self._keep = keep
        self._bare: list[Line] = []  # lines of a JSON object outside of any event
        self._error: Line | None = None  # the first `error` field
        self._count = _Lines().count

    def feed(self, data: bytes, read: int) -> list[Event]:
        if not self._keep:
            plain = plain_events(self._lexer, self._interpreter, data, read)
            if plain is not None:
                return plain
        lines = self._lexer.feed(data, read)
        if self._keep:
            self._transcript.lines += lines
        events = []
        for line in lines:
            if line.is_comment:
                self._transcript.comments += 1
            elif line.raw.startswith(_BARE_STARTS[bool(self._bare)]) and len(self._bare) < _MOST_BARE_LINES:
                self._bare.append(line)
            elif self._error is None and line.raw.startswith(_ERROR_FIELD) and not self._interpreter.pending:
                self._error = line
            if event := self._interpreter.feed(line):
                events.append(event)
        self._count(len(lines), len(events))
        return events

    def feed_many(self, pieces: list[bytes], reads: list[int]) -> list[Event] | None:
        """The fast path for many pieces at once; None, and nothing is taken, unless all of them are plain events."""
        return None if self._keep else plain_runs(self._lexer, self._interpreter, pieces, reads)

    def finish(self, read: int) -> list[Event]:
        # The standard discards an event that the end of the body leaves without its blank line (section 9.2.6). The
        # checks report it, because it is usually a bug of the sender.
        self._transcript.pending = self._lexer.finish(read)
        self._transcript.undispatched = self._interpreter.pending or self._transcript.pending is not None
        self._transcript.retry_ms = self._interpreter.retry_ms
        self._field_error()
        return self._bare_error()

    def _bare_error(self) -> list[Event]:
        """The object on bare lines: an event where the vendor documents it (Gemini), else only an `unframed_error`."""
        transcript = self._transcript
        lines = self._bare
        if transcript.pending is not None and transcript.pending.raw.startswith(_BARE_STARTS[bool(lines)]):
            lines = [*lines, transcript.pending]
        if not lines:
            return []
        first, last = lines[0], lines[-1]
        text = b"\n".join(line.raw for line in lines).decode("utf-8", "replace")
        payload = object_of(text)
        if payload and ("error" in payload or not transcript.events):
            transcript.unframed_error = payload.get("error") or payload
        if transcript.dialect is None or not transcript.dialect.bare_errors:
            return []
        transcript.bare = range(first.offset, last.end)
        return [Event("message", text, "", first.offset, last.end, last.read_index)]

    def _field_error(self) -> None:
        if self._error is not None:
            text = self._error.value.decode("utf-8", "replace")
            payload = object_of(text)
            self._transcript.unframed_error = text if payload is None else payload.get("error") or payload


class LineCutter:
    """NDJSON: each line, ended by LF, is one event; a blank line is not. The last line may lack its LF."""

    def __init__(self, transcript: Transcript, keep: bool) -> None:
        self._transcript = transcript
        self._keep = keep
        self._parts: list[bytes] = []  # of the unfinished line
        self._pending = 0
        self._offset = 0
        self._count = _Lines().count

    def feed(self, data: bytes, read: int) -> list[Event]:
        *ended, rest = data.split(b"\n")
        events = []
        for piece in ended:
            line = Line(self._offset, b"".join([*self._parts, piece]), b"\n", read)
            self._parts, self._pending = [], 0
            self._offset = line.end
            if self._keep:
                self._transcript.lines.append(line)
            events += _line_event(line)
        self._count(len(ended), len(events))
        if rest:
            self._parts.append(rest)
            self._pending += len(rest)
            if self._pending > MAX_LINE_BYTES:
                raise LimitExceeded(
                    f"a line is longer than {MAX_LINE_BYTES:,} bytes (it starts at byte {self._offset:,})",
                    "a line this long breaks most clients: send the content in smaller objects",
                )
        return events

    def finish(self, read: int) -> list[Event]:
        if not self._parts:
            return []
        self._transcript.pending = Line(self._offset, b"".join(self._parts), b"", read)
        return _line_event(self._transcript.pending)


def _line_event(line: Line) -> list[Event]:
    text = line.raw.decode("utf-8", "replace")
    return [Event("line", text, "", line.offset, line.offset + len(line.raw), line.read_index)] if text.strip() else []


class TextCutter:
    """Plain text: the text of each piece is one event. A character split between two pieces belongs to the second."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def feed(self, data: bytes, read: int) -> list[Event]:
        text = self._decoder.decode(data)
        start, self._offset = self._offset, self._offset + len(data)
        return [Event("text", text, "", start, self._offset, read)] if text else []

    def finish(self, read: int) -> list[Event]:
        rest = self._decoder.decode(b"", final=True)
        return [Event("text", rest, "", self._offset, self._offset, read)] if rest else []
