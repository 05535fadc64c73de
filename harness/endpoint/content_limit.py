"""How long a stream may go on without content: comments, pings and empty events must not hide that it stands still.

Content is generated text. Behind the end of the content (a finish reason, an end marker, an error) only the rest of the
protocol can follow, so a short grace is enough there.
"""

from functools import cached_property
from typing import Final, NamedTuple, Self

from streamgauge.protocol.dialects.base import Dialect, Kind
from streamgauge.protocol.reader import StreamReader
from streamgauge.protocol.reader_fast import feed_all
from streamgauge.transport.exchange import Allowance
from streamgauge.wire import Capture

GRACE_S: Final = 2.5
"""From the end of the content to the end of the body. Most servers take a few ms; a database write, a second."""
_TOOL_REASONS: Final = ("tool", "function")
"""Finish reasons that begin so: some gateways run the tool themselves, and then go on in the same stream."""
_ENDS: Final = {Kind.FINISH: "the finish reason", Kind.DONE: "the end marker", Kind.ERROR: "the error"}


class Patience(NamedTuple):
    """The limits of a stream's content, in s: silence of content, and what may pass after the end of the content."""

    silence_s: float
    grace_s: float = GRACE_S

    @property
    def after_end_s(self) -> float:
        """The grace; a user who set a shorter limit of silence gets that."""
        return min(self.grace_s, self.silence_s)


class ContentLimit:
    """Follows one response while it grows (see `Content`). `reader` may be fed by nobody else.

    Most streams of a load are over before anybody looks at their content, so the reader is made by the first look.
    """

    def __init__(self, capture: Capture, dialect: Dialect | None, patience: Patience) -> None:
        self._capture, self._dialect = capture, dialect
        self._patience = patience
        self._fed = 0  # pieces of the body
        self._judged = 0  # deltas
        self._last_event: int | None = None  # the last one with content
        self._end: Kind | None = None  # what ended the content

    @classmethod
    def by(cls, reader: StreamReader, patience: Patience) -> Self:
        """With a reader that others look at."""
        limit = cls(reader.transcript.capture, None, patience)
        limit.reader = reader
        return limit

    @cached_property
    def reader(self) -> StreamReader:
        """The reader of this response, made at the first look."""
        return StreamReader(self._capture, self._dialect)

    @property
    def silence_s(self) -> float:
        """See `Content`."""
        return self._patience.silence_s

    def follow(self) -> bool:
        """Read what has come since; whether there was more of the body."""
        body, fed = self._capture.body, self._fed
        self._fed = len(body)
        if fed < self._fed:
            feed_all(self.reader, body[fed:])
        return fed < self._fed

    def allowance(self) -> Allowance:
        """See `Content`."""
        self.follow()
        self._judge()
        transcript = self.reader.transcript
        since_ns = None if self._last_event is None else transcript.time_of(transcript.events[self._last_event])
        if self._end is not None:
            allowed_s = self._patience.after_end_s
            return Allowance(since_ns, allowed_s, f"the body did not end in {allowed_s:.1f} s after {_ENDS[self._end]}")
        allowed_s = self._patience.silence_s
        return Allowance(since_ns, allowed_s, self._silence(allowed_s))

    def is_in(self, data: bytes) -> bool:
        """See `Content`. In an event stream only `data` lines can have content; everywhere else any byte can."""
        head = self._capture.head
        if head is not None and head.media_type != "text/event-stream":
            return bool(data.strip())
        return b"data:" in data

    def _judge(self) -> None:
        deltas = self.reader.transcript.deltas
        for event, delta in deltas[self._judged :]:
            if delta.is_token:
                self._last_event, self._end = event, None
            elif delta.kind in _ENDS and not (delta.kind is Kind.FINISH and str(delta.value).startswith(_TOOL_REASONS)):
                self._last_event, self._end = event, delta.kind
        self._judged = len(deltas)

    def _silence(self, allowed_s: float) -> str:
        transcript = self.reader.transcript
        if transcript.capture.head is None:
            return f"no response head came for {allowed_s:.1f} s"
        last = -1 if self._last_event is None else self._last_event
        came = [
            *(["comments"] if transcript.comments else []),
            *(["events without text"] if len(transcript.events) > last + 1 else []),
        ]
        return f"no content came for {allowed_s:.1f} s" + (f", only {' and '.join(came)}" if came else "")
