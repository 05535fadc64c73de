"""How long a stream may go on without content: comments, pings and empty events must not hide that it stands still.

Content is generated text. Behind the end of the content (a finish reason, an end marker, an error) only the rest of the
protocol can follow, so a short grace is enough there.
"""

from functools import cached_property
from typing import Final, NamedTuple, Self

from streamgauge.protocol.dialects.base import Dialect, Kind
from streamgauge.protocol.dialects.payload import object_of, texts_in
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.reader import MAX_EVENTS, StreamReader
from streamgauge.protocol.reader_fast import feed_all
from streamgauge.transport.exchange import Allowance
from streamgauge.wire import Capture, End, Excess

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
        # A reader that nobody else looks at keeps nothing that has been judged: a token would take 800 bytes.
        self._forgets = True
        self._events = 0  # that it does not keep
        self._judged = 0  # deltas
        self._counted = 0  # events
        self._without_text = 0  # events since the last content
        self._words: object = None  # those of the last content, where no dialect knows its shape
        self._since_ns: int | None = None  # arrival of the last content
        self._end: Kind | None = None  # what ended the content; after an end marker nothing is content

    @classmethod
    def by(cls, reader: StreamReader, patience: Patience) -> Self:
        """With a reader that others look at."""
        limit = cls(reader.transcript.capture, None, patience)
        limit.reader = reader
        limit._forgets = False
        return limit

    @cached_property
    def reader(self) -> StreamReader:
        """The reader of this response, made at the first look."""
        return StreamReader(self._capture, self._dialect)

    @property
    def silence_s(self) -> float:
        """See `Content`."""
        return self._patience.silence_s

    @property
    def excess(self) -> Excess | None:
        """See `Content`."""
        if self._events + len(self.reader.transcript.events) > MAX_EVENTS:
            return Excess(End.TOO_LARGE, f"the stream has more than {MAX_EVENTS:,} events")
        return self.reader.excess

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
        if self._end is not None:
            allowed_s = self._patience.after_end_s
            detail = f"the body did not end in {allowed_s:.1f} s after {_ENDS[self._end]}"
            return Allowance(self._since_ns, allowed_s, detail)
        allowed_s = self._patience.silence_s
        return Allowance(self._since_ns, allowed_s, self._silence(allowed_s))

    def is_in(self, data: bytes) -> bool:
        """See `Content`. In an event stream only `data` lines can have content; everywhere else any byte can."""
        head = self._capture.head
        if head is not None and head.media_type != "text/event-stream":
            return bool(data.strip())
        return b"data:" in data

    def _judge(self) -> None:
        transcript = self.reader.transcript
        last: int | None = None  # the event with the newest content
        for event, delta in transcript.deltas[self._judged :]:
            if delta.is_token and self._end is not Kind.DONE and self._is_new(transcript.events[event]):
                last, self._end = event, None
            elif delta.kind in _ENDS and not (delta.kind is Kind.FINISH and str(delta.value).startswith(_TOOL_REASONS)):
                last, self._end = event, delta.kind
        self._judged = len(transcript.deltas)
        self._without_text += len(transcript.events) - self._counted
        self._counted = len(transcript.events)
        if last is not None:
            self._since_ns = transcript.time_of(transcript.events[last])
            self._without_text = len(transcript.events) - last - 1
        if self._forgets and transcript.dialect is not None:
            self._events += len(transcript.events)
            transcript.events.clear()
            transcript.deltas.clear()
            self._judged = self._counted = 0

    def _is_new(self, event: Event) -> bool:
        """Whether the words differ from those before. Of an unknown shape, that tells text from heartbeats."""
        if not self.reader.takes_anything_for_text:
            return True
        payload = object_of(event.data)
        before, self._words = self._words, event.data if payload is None else list(texts_in(payload))
        return self._words != before

    def _silence(self, allowed_s: float) -> str:
        transcript = self.reader.transcript
        if transcript.capture.head is None:
            return f"no response head came for {allowed_s:.1f} s"
        events = "events without text" if self._words is None else "events without new text"
        came = [*(["comments"] if transcript.comments else []), *([events] if self._without_text else [])]
        return f"no content came for {allowed_s:.1f} s" + (f", only {' and '.join(came)}" if came else "")
