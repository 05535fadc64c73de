"""One exchange that has ended: its bytes and times, to be interpreted or recorded at a good time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, Unpack

from streamgauge.protocol.capture_fast import captured_record
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import Labels, StreamRecord, record_of, without_times
from streamgauge.protocol.record_fast import plain_record
from streamgauge.protocol.transcript import Transcript
from streamgauge.steady import LEAST_STEP_NS, set_by_ns
from streamgauge.transport.exchange import Whole
from streamgauge.transport.http1 import unpacked
from streamgauge.wire import Capture, End, succeeds

REFUSED: Final = frozenset({Outcome.CONNECT_ERROR, Outcome.CLIENT_LIMIT, Outcome.HTTP_ERROR})
"""Outcomes of requests that are not served, or not read to their end, however often they are sent."""
_KEPT_A_READ: Final = 100  # bytes of memory that a read takes beside its data, about


@dataclass(slots=True)
class Answer:
    """What came of one request. `whole` has the response where a fast path has taken it; `transcript` is set when the
    stream was interpreted while it came.

    `clock_ns` is how far the clock of this machine had been set when the request began, `clock_set_ns` how far it was
    set from then to the end. The times of the stream are those of that clock.
    """

    capture: Capture
    whole: Whole | None = None
    transcript: Transcript | None = None
    ends: Ends = Ends.AUTO
    clock_ns: int = 0
    clock_set_ns: int = 0

    def over(self) -> Self:
        """The answer, which has ended."""
        set_ns = set_by_ns() - self.clock_ns
        self.clock_set_ns = set_ns if abs(set_ns) >= LEAST_STEP_NS else 0
        return self

    def interpreted(
        self, dialect: Dialect | None = None, *, keep: bool = False, pause: Callable[[], None] | None = None
    ) -> Transcript:
        """The stream; `dialect` None decides it by this stream. `pause` is called between two parts of it."""
        if self.transcript is None:
            if self.whole is not None:
                self.capture = unpacked(self.capture, self.whole.arrivals)
            self.transcript = interpret(self.capture, dialect, keep=keep, ends=self.ends, pause=pause)
        return self.transcript

    def record(self, stream_id: str, dialect: Dialect | None, **labels: Unpack[Labels]) -> StreamRecord:
        """The record of the stream, by the fast path where it is plain. Its epoch time is that of `steady`."""
        record = self._fast_record(stream_id, dialect, **labels) if self.transcript is None else None
        if record is None:
            record = record_of(self.interpreted(dialect), stream_id, **labels)
        record.start_ns -= self.clock_ns
        return without_times(record, self.clock_set_ns, self.capture.end) if self.clock_set_ns else record

    def _fast_record(self, stream_id: str, dialect: Dialect | None, **labels: Unpack[Labels]) -> StreamRecord | None:
        if self.whole is None:
            return captured_record(self.capture, stream_id, dialect, self.ends, **labels)
        response, arrivals = self.whole
        return plain_record(self.capture, arrivals, response, stream_id, dialect, self.ends, **labels)

    def empty_ns(self, read: int) -> int | None:
        """When the socket was last known to be empty before this read (epoch ns)."""
        if self.whole is not None and self.transcript is None:
            known = self.whole.arrivals.empty_ns
            return known[read] if known else None
        return self.capture.reads[read].empty_ns

    @property
    def memory(self) -> int:
        """The bytes of memory that it takes, about."""
        if self.whole is not None:
            return len(self.whole.arrivals.data) + _KEPT_A_READ * len(self.whole.arrivals.sizes)
        body, reads = self.capture.body, self.capture.reads
        return sum(len(data) for _, data in body) + _KEPT_A_READ * (len(body) + len(reads))

    @property
    def refused(self) -> bool:
        """Whether the request is not served, or cannot be sent or read: asking again at once would be a busy loop."""
        head = self.capture.head
        if self.transcript is not None:
            return self.transcript.outcome in REFUSED
        return self.whole is None and (
            self.capture.sent_ns is None
            or self.capture.end is End.NO_ROOM
            or (head is not None and not succeeds(head.status))
        )
