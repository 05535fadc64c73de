"""Exchanges over a connection that is not there: a test gives the reads, and sees what became of the connection."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from streamgauge.transport.connection import Arrived, Close, Connection, Registration
from streamgauge.transport.exchange import Exchange, Limits
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Arrivals, Capture, Read
from tests.builders.tapes import MS, START_NS

NOTHING = Arrivals(b"", [], [], [])
NO_LIMITS = Limits()


class FakeConnection:
    """Stands in for a Connection. `incoming` are the results of `receive`: reads, or errors to raise."""

    tls: object = None
    closed_by_tls = False

    def __init__(self, incoming: Iterable[tuple[bytes, Read] | OSError] = ()) -> None:
        self.registration: Registration | None = None
        self.incoming = iter(incoming)
        self.timeouts: list[float | None] = []
        self.closed: Close | None = None
        self.half_closed = False

    def decrypts(self, plain: Arrivals, error: ssl.SSLError | None) -> None:
        """From here it is under TLS, and all that arrives is this plaintext, perhaps up to an error."""
        self.tls = object()
        self._plain = plain, error

    def decrypted(self, arrivals: Arrivals) -> tuple[Arrivals, ssl.SSLError | None]:  # noqa: ARG002
        return self._plain

    def receive(self) -> tuple[bytes, Read]:
        result = next(self.incoming)
        if isinstance(result, OSError):
            raise result
        return result

    def settimeout(self, seconds: float | None) -> None:
        self.timeouts.append(seconds)

    def half_close(self) -> None:
        self.half_closed = True

    def close(self, how: Close = Close.FIN) -> None:
        self.closed = how


class Held:
    """A registration that still holds what has arrived."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived

    def take(self) -> Arrived:
        arrived, self._arrived = self._arrived, Arrived(NOTHING)
        return arrived

    def idle(self) -> bool:
        return self._arrived == Arrived(NOTHING)

    def remove(self) -> None:
        """Nothing to forget."""


class Scripted:
    """A driver that gives an exchange what the test wrote down."""

    def __init__(self, script: Callable[[Exchange], None], *, defers: bool) -> None:
        self.defers, self.look_s = defers, 5.0
        self._script = script

    def drive(self, exchange: Exchange) -> None:
        self._script(exchange)


class Stage:
    """One exchange with its connection and pool."""

    def __init__(
        self,
        script: Callable[[Exchange], None] = lambda exchange: None,  # noqa: ARG005
        *,
        defers: bool = True,
        limits: Limits = NO_LIMITS,
        incoming: Iterable[tuple[bytes, Read] | OSError] = (),
        wire: bool = False,
    ) -> None:
        self.connection = FakeConnection(incoming)
        self.capture = Capture(START_NS, method="POST", url="http://test/", sent_ns=START_NS, wire=[] if wire else None)
        self.pool: list[Connection] = []
        state = ExchangeState(self.capture)
        self.exchange = Exchange(
            cast(Connection, self.connection), state, ResponseParser(state), Scripted(script, defers=defers), limits,
            self.pool,
        )  # fmt: skip

    @property
    def kept(self) -> bool:
        """Whether the connection waits for the next request."""
        return self.pool == [self.connection]


def reads_of(pieces: Iterable[bytes], began_ns: int = START_NS) -> list[tuple[bytes, Read]]:
    """These pieces as reads, 20 ms apart and read 3 ns later."""
    at_ns = (began_ns + 20 * MS * number for number in range(10**9))
    return [(data, Read(t_ns, t_ns + 3, len(data))) for data, t_ns in zip(pieces, at_ns, strict=False)]


def reads_now(*pieces: bytes) -> list[tuple[bytes, Read]]:
    """These pieces as reads of this moment."""
    return reads_of(pieces, time.time_ns() - 20 * MS * len(pieces))


def in_groups(reads: list[tuple[bytes, Read]], ends: Iterable[int]) -> Iterator[Arrivals]:
    """The reads packed in groups, which end before these numbers."""
    first = 0
    for end in (*sorted(ends), len(reads)):
        if end > first:
            yield Arrivals.of(reads[first:end])
            first = end
