"""The state of one exchange: the only code that writes a Capture.

    OPENING ── sent ──► SENT ── head ──► BODY ── end ──► ENDED

An exchange can end in every phase but the last. `ENDS` says who may end it how, and in which phase. The first end
counts: a later one changes nothing, because what ended the exchange is what its user saw. There is no socket here, so
all of it can be tested with values.
"""

from collections.abc import Iterable
from dataclasses import fields
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from streamgauge.transport.timings import Timings
from streamgauge.wire import Capture, End, Framing, FramingFault, Head, Read


class Phase(IntEnum):
    """How far an exchange has come."""

    OPENING = 0
    SENT = 1
    BODY = 2
    ENDED = 3


class Actor(StrEnum):
    """Who ends an exchange."""

    CONNECTOR = "connector"  # opens the connection and sends the request
    PARSER = "parser"  # reads the response
    DRIVER = "driver"  # waits for bytes
    CLIENT = "client"  # the user of the exchange, who leaves it


class Ending(NamedTuple):
    """Who may end an exchange in this way, and in which phases."""

    actors: frozenset[Actor]
    phases: frozenset[Phase]


_WAITING: Final = frozenset({Phase.SENT, Phase.BODY})
_UNTIL_END: Final = frozenset({Phase.OPENING, Phase.SENT, Phase.BODY})

ENDS: Final = {
    End.COMPLETE: Ending(frozenset({Actor.PARSER}), frozenset({Phase.BODY})),
    End.CLOSED: Ending(frozenset({Actor.PARSER}), _WAITING),
    End.RESET: Ending(frozenset({Actor.CONNECTOR, Actor.PARSER, Actor.DRIVER}), _UNTIL_END),
    End.NO_MEANS: Ending(frozenset({Actor.CONNECTOR}), frozenset({Phase.OPENING})),
    End.NO_ROOM: Ending(frozenset({Actor.DRIVER}), _WAITING),
    End.TIMEOUT: Ending(frozenset({Actor.CONNECTOR, Actor.DRIVER}), _UNTIL_END),
    End.MALFORMED: Ending(frozenset({Actor.CONNECTOR, Actor.PARSER, Actor.DRIVER}), _UNTIL_END),
    End.TOO_LARGE: Ending(frozenset({Actor.PARSER, Actor.DRIVER}), _WAITING),
    End.CANCELLED: Ending(frozenset({Actor.CLIENT}), _WAITING),
    End.INTERRUPTED: Ending(frozenset({Actor.CLIENT}), _WAITING),
}


class NotAllowed(AssertionError):  # noqa: N818 - a mistake in this program, never the endpoint's
    """An event that the table does not allow in this phase, or from this actor."""


class ExchangeState:
    """One exchange. Each method is an event; it raises NotAllowed where the event cannot happen."""

    __slots__ = ("capture", "phase")

    def __init__(self, capture: Capture) -> None:
        """Go on where `capture` stands; a new one is OPENING."""
        self.capture = capture
        self.phase = Phase.OPENING
        if capture.end is not None:
            self.phase = Phase.ENDED
        elif capture.head is not None:
            self.phase = Phase.BODY
        elif capture.sent_ns is not None:
            self.phase = Phase.SENT

    @property
    def ended(self) -> bool:
        return self.phase is Phase.ENDED

    # OPENING

    def begin(self, method: str, url: str, at_ns: int) -> None:
        """A request is about to be made."""
        self._only_in(Phase.OPENING)
        self.capture.method, self.capture.url, self.capture.start_ns = method, url, at_ns

    def wanted(self, at_ns: int) -> None:
        """The stream was wanted at this time; it may have to wait for room on a shared connection."""
        self._only_in(Phase.OPENING)
        self.capture.wanted_ns = at_ns

    def prepared(self, request: bytes, at_ns: int, *, reused: bool) -> None:
        """The request is ready, and the exchange starts: preparing it took time that is not the endpoint's."""
        self._only_in(Phase.OPENING)
        self.capture.request, self.capture.start_ns, self.capture.reused = request, at_ns, reused

    def opened(self, timings: Timings) -> None:
        """The phases of connecting, as far as they came."""
        self._only_in(Phase.OPENING)
        capture = self.capture
        capture.dns_ns, capture.connect_ns, capture.tunnel_ns = timings.dns_ns, timings.connect_ns, timings.tunnel_ns
        capture.tls_ns, capture.handshake_ns = timings.tls_ns, timings.handshake_ns

    def connected_to(self, peer: str | None) -> None:
        """The address at the other end of the connection that carries the request; None where it is not known."""
        self._only_in(Phase.OPENING)
        self.capture.peer = peer

    def sent(self, at_ns: int) -> None:
        """The kernel has taken the request; called again when it takes a part that waited for flow control."""
        if self.phase is Phase.OPENING:
            self.phase = Phase.SENT
        self.capture.sent_ns = at_ns

    # SENT and BODY

    def read(self, data: bytes, read: Read) -> int:
        """Bytes have come. Returns the number of the read."""
        capture = self.capture
        capture.reads.append(read if len(data) == read.size else read._replace(size=len(data)))
        if capture.wire is not None:
            capture.wire.append(data)
        return len(capture.reads) - 1

    def plain_reads(self, reads: Iterable[Read]) -> None:
        """Reads whose bytes a fast path has taken; the wire is not kept."""
        self.capture.reads += reads

    def crowded(self, reads: Iterable[int]) -> None:
        """In these reads, bytes of other streams came behind the bytes of this stream."""
        self.capture.crowded += reads

    def forget_reads(self, before: int) -> None:
        """The first reads did not belong to this response (HTTP/2: SETTINGS, or the rest of an earlier stream)."""
        del self.capture.reads[:before]
        self.capture.crowded = [read - before for read in self.capture.crowded if read >= before]
        if self.capture.wire is not None:
            del self.capture.wire[:before]

    def head(self, head: Head, framing: Framing, read: int) -> None:
        """The response head is complete, with this read."""
        self._only_in(Phase.SENT)
        self.phase = Phase.BODY
        self.capture.head, self.capture.framing, self.capture.head_read = head, framing, read

    def fault(self, fault: FramingFault) -> None:
        """The head leaves the end of the body in doubt."""
        self.capture.fault = fault

    def body(self, read: int, data: bytes) -> None:
        """A piece of the body."""
        self.capture.body.append((read, data))

    def bodies(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Pieces of the body, `(read, bytes)` each."""
        self.capture.body += pieces

    def chunks(self, count: int = 1) -> None:
        """HTTP chunks have begun."""
        self.capture.chunks += count

    def whole(self, head: Head, head_read: int) -> None:
        """A fast path has taken a whole chunked response, and keeps its reads and body packed: it is complete."""
        self.head(head, Framing.CHUNKED, head_read)
        self.end(End.COMPLETE, None, Actor.PARSER)

    # Of an exchange that several requests prepare (a SignalR hub)

    def restarts(self, asked: Capture, began_ns: int) -> None:
        """The stream starts with the request `asked`, after this response has begun: what came so far is no part of
        it, and its connection was open before. Opening that began at `began_ns`.
        """
        self._only_in(Phase.BODY)
        self.forget()
        capture = self.capture
        for name in ("method", "url", "request", "start_ns", "sent_ns"):
            setattr(capture, name, getattr(asked, name))
        capture.reused, capture.opening_ns = True, asked.start_ns - began_ns
        capture.dns_ns = capture.connect_ns = capture.tunnel_ns = capture.tls_ns = capture.handshake_ns = None

    def forget(self) -> None:
        """What came of the response before the stream started is no part of it; its head stays known."""
        capture = self.capture
        capture.head_read, capture.chunks = None, 0
        for came in (capture.reads, capture.crowded, capture.body, capture.wire or []):
            came.clear()

    def stands_for(self, asked: Capture, end: End | None, detail: str) -> None:
        """The exchange failed with the request `asked`: its capture takes the place of this one. `end` is why, where
        that exchange itself was complete.
        """
        capture = self.capture
        for field in fields(Capture):
            if field.name != "memory":
                setattr(capture, field.name, getattr(asked, field.name))
        capture.end, capture.detail = end or asked.end, detail
        self.phase = Phase.ENDED

    # The end

    def end(self, end: End, detail: str | None, by: Actor) -> None:
        """The exchange has ended; only the first end counts."""
        if self.phase is Phase.ENDED:
            return
        ending = ENDS[end]
        if by not in ending.actors or self.phase not in ending.phases:
            raise NotAllowed(f"{end.name} by the {by.value} in the phase {self.phase.name}")
        self.phase = Phase.ENDED
        self.capture.end, self.capture.detail = end, detail

    def ended_at(self, at_ns: int) -> None:
        """When the exchange ended; the first time counts."""
        if self.capture.end_ns is None:
            self.capture.end_ns = at_ns

    def trailing(self, data: bytes) -> None:
        """Bytes came behind the end of the response."""
        self.capture.trailing = data

    def _only_in(self, phase: Phase) -> None:
        if self.phase is not phase:
            raise NotAllowed(f"an event of the phase {phase.name} in the phase {self.phase.name}")
