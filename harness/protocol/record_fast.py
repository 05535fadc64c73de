"""The fast path from a whole response to its record, without an object for each read, event or delta.

Runs of token events are cut out by their frame (see frames.py); the few other events go through StreamReader. A run
begins and ends between two events, so the reader need not know of it.
Law: `plain_record` gives the record that `record_of` makes of the same bytes and reads, or None
(test_record_fast.py: test_a_plain_record_is_the_record_of_the_transcript).
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate, repeat
from typing import Final, NamedTuple, Unpack

from streamgauge.protocol.dialects.base import SSE_TYPE, Dialect, Media
from streamgauge.protocol.frames import Frame, frame_of, plain_event, run_of
from streamgauge.protocol.outcome import Ends
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.record import Labels, Parts, ReadColumns, StreamRecord, assemble, parts_of
from streamgauge.wire import Arrivals, Capture, PlainResponse

# Events that are read one by one: so many in any stream, and one more for so many in runs. A stream with more of them
# is not made of runs, and costs less on the ordinary path.
_ALONE: Final = 16
_RUN_EVENTS_FOR_ONE_ALONE: Final = 4


class _TokenRun(NamedTuple):
    """The reads of a run's events, its characters, and how many deltas the reader had found before it."""

    reads: list[int]
    chars: int
    after: int


def plain_record(
    capture: Capture,
    arrivals: Arrivals,
    response: PlainResponse,
    stream_id: str,
    dialect: Dialect | None = None,
    ends: Ends = Ends.AUTO,
    **labels: Unpack[Labels],
) -> StreamRecord | None:
    """The record of a complete event stream; None for any other response, and for one without runs of token events.

    `capture` is the exchange with its head and its end; it stays as it is, and its reads and body are not looked at.
    Without a dialect there is no record: only a whole stream decides its dialect, and the runs go around the reader.
    """
    head = response.head
    if dialect is None or dialect.media is not Media.SSE:
        return None
    if head.media_type != SSE_TYPE or head.get("content-encoding") is not None or b"\r" in b"".join(response.pieces):
        return None
    body = _Body(StreamReader(capture, dialect, ends=ends), dialect, response)
    if not body.read():
        return None
    transcript = body.reader.finish()
    columns = ReadColumns.of(capture.start_ns, arrivals)
    return assemble(transcript, columns, body.parts(), body.events(), stream_id, labels)


class _Body:
    """A body on its way through the reader, with the runs that go around it."""

    def __init__(self, reader: StreamReader, dialect: Dialect, response: PlainResponse) -> None:
        self.reader = reader
        self._dialect = dialect
        self._pieces, self._ends, self._arrived = response.pieces, response.ends, response.arrived
        self._next = 0  # the number of the piece
        self._runs: list[_TokenRun] = []

    def read(self) -> bool:
        """Read to the end; False when the body is not made of runs."""
        frame: Frame | None = None
        left = _ALONE
        while self._next < len(self._pieces):
            if frame is not None and (events := self._take_run(frame)):
                left += events // _RUN_EVENTS_FOR_ONE_ALONE
                continue
            frame = self._feed_event() or frame
            left -= 1
            if left < 0 or not self._dialect.verbatim:
                return False
        return True

    def _feed_event(self) -> Frame | None:
        """Give one event to the reader; its frame, if it is a token event that has one."""
        piece = self._pieces[self._next]
        if not piece.endswith(b"\n\n") or piece.count(b"\n\n") > 1:
            self._cut_at_blank_lines()
            piece = self._pieces[self._next]
        transcript = self.reader.transcript
        end = self._ends[self._next]
        self._next += 1
        # The reader has to see the bytes of the first event, to know the body's format, and those of unusual events.
        event = None if transcript.dialect is None else plain_event(piece, bisect_left(self._arrived, end))
        if event is None or transcript.dialect is None:
            self._feed(piece, end)
            return None
        deltas = len(transcript.deltas)
        self.reader.take([event])
        if len(transcript.deltas) != deltas + 1 or not transcript.deltas[-1].delta.is_token:
            return None
        return frame_of(transcript.dialect, event, piece, transcript.deltas[-1].delta)

    def _cut_at_blank_lines(self) -> None:
        """Let the next pieces be one event each, where the chunks were not."""
        begin = self._ends[self._next] - len(self._pieces[self._next])
        *events, rest = b"".join(self._pieces[self._next :]).split(b"\n\n")
        self._pieces = [event + b"\n\n" for event in events] + ([rest] if rest else [])
        self._ends = list(accumulate(map(len, self._pieces), initial=begin))[1:]
        self._next = 0

    def _feed(self, piece: bytes, end: int) -> None:
        """Give a piece that ends at this offset of the body to the reader, cut where its reads end."""
        begin = at = end - len(piece)
        read = bisect_right(self._arrived, at)
        while at < end:
            upto = min(self._arrived[read], end)
            self.reader.feed(read, piece[at - begin : upto - begin])
            at = upto
            read += 1

    def _take_run(self, frame: Frame) -> int:
        """Take the run that begins here; the number of its events."""
        run = run_of(frame, self._pieces, self._next)
        if run is None:
            return 0
        ends = self._ends[self._next : self._next + run.events]
        self._runs.append(_TokenRun(self._reads_of(ends), run.chars, len(self.reader.transcript.deltas)))
        self._next += run.events
        return run.events

    def _reads_of(self, ends: list[int]) -> list[int]:
        """The read of each event, given where the events end in the body: the first read by whose end it had come."""
        first = bisect_left(self._arrived, ends[0])
        if self._arrived[first : first + len(ends)] == ends:
            return list(range(first, first + len(ends)))  # one event a read
        return list(map(bisect_left, repeat(self._arrived), ends))

    def events(self) -> int:
        """The number of all events."""
        return len(self.reader.transcript.events) + sum(len(run.reads) for run in self._runs)

    def parts(self) -> Parts:
        """The parts of all events, in order."""
        transcript = self.reader.transcript
        token_reads: list[int] = []
        chars = done = 0
        signals = []
        for run in (*self._runs, _TokenRun([], 0, len(transcript.deltas))):
            parts = parts_of(transcript.events, transcript.deltas[done : run.after])
            token_reads += parts.token_reads + run.reads
            chars += parts.token_chars + run.chars
            signals += parts.signals
            done = run.after
        return Parts(token_reads, chars, signals)
