"""The strict reading of one body, and where a client's reading differs from it."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final, NamedTuple

from streamgauge.conformance.cases import printable
from streamgauge.conformance.clients.base import MESSAGE, Message
from streamgauge.conformance.payloads import is_sentinel
from streamgauge.protocol.dialects.base import Delta, Dialect, Kind, Media
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import Capture, End, Head

_BOM: Final = b"\xef\xbb\xbf"
_WINDOW: Final = 16  # events by which two readings may be shifted and still count as the same stream
_WORDS: Final = (
    (Kind.ERROR, "the error"),
    (Kind.FINISH, "the finish reason"),
    (Kind.USAGE, "the usage"),
    (Kind.DONE, "the end marker"),
)


class ReferenceReading:
    """What the standard and the dialect find in a body.

    The standard drops a last event that has no blank line. The server sent it all the same, and a client that drops it
    loses data: so it is the last of `events`, and `unended` is its index. `complete`: the end of the body came.
    """

    def __init__(
        self, pieces: Sequence[bytes], media_type: str | None, dialect: Dialect | None, *, complete: bool = True
    ) -> None:
        self.body = b"".join(pieces)
        self.unended: int | None = None
        read = strict(pieces, media_type, dialect)
        if complete and read.undispatched:
            more = strict([*pieces, b"\n\n"], media_type, dialect)
            if len(more.events) > len(read.events):
                self.unended, read = len(read.events), more
        self.dialect = read.dialect
        self.events = read.events
        self.deltas: list[list[Delta]] = [[] for _ in self.events]
        for index, delta in read.deltas:
            self.deltas[index].append(delta)
        self._lines = read.lines + ([read.pending] if read.pending is not None else [])
        self._ends = [line.end for line in self._lines]
        # In an event stream a blank line belongs to the event that it ends; among lines of JSON it stands alone.
        self._blocks = self.dialect is None or self.dialect.media is Media.SSE

    @property
    def parsed(self) -> bool:
        """Whether every payload is JSON."""
        return self.dialect is not None and self.dialect.json_payload

    @property
    def by_line(self) -> list[bytes]:
        """The body, one line a piece."""
        bounds = [0, *self._ends, len(self.body)]
        return [self.body[a:b] for a, b in pairwise(bounds) if a < b]

    def first(self, kind: Kind) -> int | None:
        """The first event with a delta of this kind."""
        return next((n for n, deltas in enumerate(self.deltas) if any(d.kind is kind for d in deltas)), None)

    def offset(self, index: int) -> int:
        """Where an event begins; a byte order mark in front of it belongs to it."""
        offset = self.events[index].offset
        return 0 if self.body[:offset] == _BOM else offset

    def parted(self, index: int, message: Message | None) -> int:
        """Where a client's version of an event differs: at the end if it was cut off, else at the beginning."""
        event = self.events[index]
        if message is not None and message.data and event.data.startswith(message.data) and message.data != event.data:
            head = message.data.encode("utf-8", "replace")
            start = self.body.find(head, event.offset)
            if start >= 0:
                return start + len(head)
        return self.offset(index)

    def acted_on(self, handed: int) -> int:
        """The offset of the block or line that a client acted on after it had been given that many bytes."""
        at = bisect_left(self._ends, handed)
        if at == len(self._lines):
            return min(handed, len(self.body))
        if not self._lines[at].raw and self._blocks:
            while at > 0 and self._lines[at - 1].raw:
                at -= 1
        return self._lines[at].offset

    def matters(self, index: int, events: bool) -> bool:
        """Whether a client that drops this event loses something: not so for pings and empty data.

        Nor for the end marker, where a client has no `events` to hand on: that it has ended is the message.
        """
        data, kinds = self.events[index].data, {delta.kind for delta in self.deltas[index]}
        if data == "" or kinds == {Kind.PING}:
            return False
        return events or not (is_sentinel(data) or (kinds and kinds <= {Kind.PING, Kind.DONE}))

    def told(self, index: int) -> str:
        """The content of an event, in words."""
        deltas = self.deltas[index]
        if text := "".join(delta.text for delta in deltas if delta.is_token):
            return f"the text {printable(text, 60)!r}"
        words = (words for kind, words in _WORDS if any(delta.kind is kind for delta in deltas))
        understood = bool(deltas) and all(delta.value is None for delta in deltas)
        return next(words, "no text" if understood else printable(self.events[index].data, 60))


def strict(pieces: Iterable[bytes], media_type: str | None, dialect: Dialect | None) -> Transcript:
    """The transcript of a body under a head that says 200 and this Content-Type."""
    headers = (("Content-Type", media_type),) if media_type else ()
    head = Head(200, "OK", "HTTP/1.1", headers)
    capture = Capture(0, head=head, body=list(enumerate(pieces)), end=End.COMPLETE, sent_ns=0)
    return interpret(capture, dialect, keep=True)


class Lost(NamedTuple):
    """An event that a client did not hand on, or handed on as another `message`."""

    event: int
    message: int | None


class Difference(NamedTuple):
    """The events of a reading that a client lost or changed, and the messages it gave beside them."""

    lost: list[Lost]
    added: list[int]


def difference(
    reading: ReferenceReading, messages: Sequence[Message], *, events: bool, until: int | None
) -> Difference:
    """How a client's messages differ from the events before `until`. `events`: the client hands on event types."""
    wanted = [_key(event.type, event.data, reading.parsed, events) for event in reading.events[:until]]
    got = [_key(message.type, message.data, reading.parsed, events) for message in messages]
    lost: list[Lost] = []
    added: list[int] = []
    for event, message in _pairs(wanted, got):
        if event is not None and reading.matters(event, events):
            lost.append(Lost(event, message))
        elif event is None and message is not None:
            added.append(message)
    return Difference(lost, added)


_Key = tuple[str, str]


def _key(kind: str, data: str, parsed: bool, events: bool) -> _Key:
    """An event in a comparable form: JSON in one spelling, and no type if the client has no event types."""
    if parsed:
        with suppress(ValueError, RecursionError):
            data = json.dumps(json.loads(data))
    return (kind if events else MESSAGE), data


def _pairs(wanted: Sequence[_Key], got: Sequence[_Key]) -> Iterator[tuple[int | None, int | None]]:
    """The differences of two readings: `(w, None)` is lost, `(None, g)` is added, `(w, g)` is replaced."""
    w = g = 0
    while w < len(wanted) and g < len(got):
        if wanted[w] == got[g]:
            w, g = w + 1, g + 1
            continue
        skip_w, skip_g = _together_again(wanted[w : w + _WINDOW], got[g : g + _WINDOW])
        for step in range(max(skip_w, skip_g)):
            yield (w + step if step < skip_w else None), (g + step if step < skip_g else None)
        w, g = w + skip_w, g + skip_g
    yield from ((rest, None) for rest in range(w, len(wanted)))
    yield from ((None, rest) for rest in range(g, len(got)))


def _together_again(wanted: Sequence[_Key], got: Sequence[_Key]) -> tuple[int, int]:
    """How many to skip in each until they agree again; 1 and 1 if they do not within _WINDOW."""
    for distance in range(1, len(wanted) + len(got) - 1):
        for skip_w in range(min(distance, len(wanted) - 1) + 1):
            skip_g = distance - skip_w
            if skip_g < len(got) and wanted[skip_w] == got[skip_g]:
                return skip_w, skip_g
    return 1, 1
