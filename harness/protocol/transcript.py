"""The transcript: a stream after interpretation. Checks judge it, and records are made from it. Values only."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from streamgauge.protocol.dialects.base import Delta, Dialect, Kind, Media
from streamgauge.protocol.eventstream import Event, Line
from streamgauge.protocol.outcome import Outcome
from streamgauge.wire import Capture


class Found(NamedTuple):
    """A delta and the index of the event it was found in."""

    event: int
    delta: Delta


def first_of(deltas: Iterable[Found], kind: Kind) -> Found | None:
    """The first delta of this kind."""
    return next((found for found in deltas if found.delta.kind is kind), None)


@dataclass(slots=True)
class Transcript:
    """A stream after interpretation. `lines` and `body` are filled only by a reader that keeps them.

    `dialect_rule` is the evidence by which the dialect was chosen (None where it was known before), `dialect_doubt` the
    evidence against it.

    `media` is the format by which the body was cut into events; None where it was not.

    `pending` is the line that the end of the body left without terminator, `undispatched` whether fields were left
    without the blank line that dispatches them. `bare` is the range of the body with an error that the dialect's
    vendor writes outside of any event (Gemini). `unframed_error` is the payload of any error outside of events: in JSON
    on bare lines or in an `error` field.
    """

    capture: Capture
    outcome: Outcome = Outcome.INCOMPLETE
    detail: str | None = None
    dialect: Dialect | None = None
    dialect_rule: str | None = None
    dialect_doubt: str | None = None
    is_stream: bool = False
    media: Media | None = None
    body: bytes = b""
    lines: list[Line] = field(default_factory=list)
    pending: Line | None = None
    undispatched: bool = False
    bare: range | None = None
    unframed_error: object = None
    events: list[Event] = field(default_factory=list)
    deltas: list[Found] = field(default_factory=list)
    comments: int = 0
    retry_ms: int | None = None
    _ends: list[int] = field(default_factory=list, init=False, repr=False, compare=False)
    """Where in `body` each read ends, once it was asked for: checks ask for the read of every event."""

    @property
    def tokens(self) -> list[tuple[Event, str]]:
        """The token events (docs/definitions.md#tokens): each with all of its generated text."""
        out: list[tuple[Event, str]] = []
        last = -1
        for index, delta in self.deltas:
            if delta.is_token:
                if index == last:
                    out[-1] = (out[-1][0], out[-1][1] + delta.text)
                else:
                    out.append((self.events[index], delta.text))
                last = index
        return out

    @property
    def text(self) -> str:
        """The answer: all content deltas joined."""
        return "".join(found.delta.text for found in self.deltas if found.delta.kind is Kind.CONTENT)

    def first(self, kind: Kind) -> Found | None:
        """The first delta of this kind."""
        return first_of(self.deltas, kind)

    def signals(self) -> list[Found]:
        """All deltas but content. A stream has few, so searching these is cheaper than searching all deltas."""
        return [found for found in self.deltas if found.delta.kind is not Kind.CONTENT]

    def read_of(self, offset: int) -> int | None:
        """The index of the read that brought the byte at `offset` of `body`; None when there is no such byte.

        In a compressed body only the read that completed the byte's line is known.
        """
        if not 0 <= offset < len(self.body):
            return None
        if len(self._ends) != len(self.capture.body):
            self._ends = list(accumulate(len(data) for _, data in self.capture.body))
        if self._ends and self._ends[-1] == len(self.body):
            return self.capture.body[bisect_right(self._ends, offset)][0]
        if self.pending is not None and offset >= self.pending.offset:
            return self.pending.read_index
        at = bisect_right(self.lines, offset, key=lambda line: line.offset)
        return self.lines[at - 1].read_index if at else None

    def time_of(self, event: Event) -> int:
        """Arrival of the read that completed `event`, epoch ns."""
        return self.capture.reads[event.read_index].t_ns
