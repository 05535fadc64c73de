"""Few HTTP/2 connections for all users of a process (`--connections N`): a stream goes to the connection that has the
fewest.

A greenlet a connection, the pump, waits for its bytes and gives each stream its part. The greenlet of a stream sleeps
until its response is satisfied, or its time is over. No connection beyond N is opened: a stream waits for its start
while the peer allows no more streams (SETTINGS_MAX_CONCURRENT_STREAMS), or while its connection is being opened. This
wait is the record's schedule delay and not part of its TTFT.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.hub import Hub, Waiter
from gevent.lock import BoundedSemaphore
from gevent.socket import wait_read

from streamgauge.scenarios.native_driver import NativeDriver, Registered, native_driver
from streamgauge.scenarios.turns import Turns, turns
from streamgauge.transport.connection import Arrived, Close, Connection, left_of
from streamgauge.transport.connector import Connector
from streamgauge.transport.exchange import CONTENT_LOOK_S, Driver, Exchange
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1 import CaptureTransport, limits_of
from streamgauge.transport.http2_shared import SharedExchange, SharedSession, open_stream
from streamgauge.transport.proxies import Proxy
from streamgauge.transport.request import PreparedRequest
from streamgauge.wire import Capture, Read

COLLECT_S: Final = 0.004
"""The native reader has stamped and stored the bytes, so a pump takes them at most once in this time. A user's next
stream begins so much later at most; no time of a stream changes. Without that reader a pump reads at once: of segments
that it reads together, all get the stamp of the last.
"""
_SEND_S: Final = 60.0  # a peer that takes nothing for so long is given up

Open = Callable[[], Connection]


class Line:
    """One connection with its pump; it is the driver of its exchanges (see `Driver`)."""

    defers = False
    look_s = CONTENT_LOOK_S

    def __init__(
        self, connection: Connection, hub: Hub, work: Turns, native: NativeDriver | None, changed: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._turns = work
        self._native = native
        self._changed = changed  # called when there may be room for a stream, or the line is closed
        self._shared = SharedSession()
        self._exchanges: dict[int, SharedExchange] = {}
        self._waiting: dict[int, Waiter] = {}
        self._unsent = b""
        self._idle = Event()  # nobody sends
        self._idle.set()
        self._started = False
        self._closed = False
        connection.watched()
        connection.settimeout(_SEND_S)
        self._pump = gevent.spawn(self._run)

    @property
    def streams(self) -> int:
        return len(self._exchanges)

    @property
    def usable(self) -> bool:
        """Whether it may carry more streams, now or later."""
        return not (self._closed or self._shared.leaving)

    @property
    def has_room(self) -> bool:
        return self.usable and self._shared.has_room

    def start(self, prepared: PreparedRequest, state: ExchangeState) -> SharedExchange:
        """Send a request on a stream of its own. Raises OSError, and what `open_stream` raises."""
        parser = open_stream(self._shared, prepared, state, reused=self._started)
        self._started = True
        stream = Stream(self, parser.stream)
        exchange = SharedExchange(stream, state, parser, self, limits_of(prepared))
        self._exchanges[parser.stream] = exchange
        try:
            self.send(parser.outgoing())
            self._idle.wait()  # another greenlet may be sending these bytes behind its own
        except BaseException:
            parser.release()
            self.forget(parser.stream)
            raise
        state.sent(time.time_ns())
        return exchange

    def drive(self, exchange: Exchange) -> None:
        """See `Driver`. The greenlet sleeps until the exchange is satisfied."""
        assert isinstance(exchange, SharedExchange)
        stream = exchange.stream
        while not exchange.satisfied:
            wait_s = exchange.check_time()
            if exchange.satisfied:
                return
            waiter = self._waiting[stream] = Waiter(self._hub)
            try:
                _sleep(self._hub, waiter, wait_s)
            finally:
                if self._waiting.get(stream) is waiter:
                    del self._waiting[stream]

    def send(self, data: bytes) -> None:
        """Send in the order of the calls; while another greenlet sends, it takes these bytes along. Raises OSError."""
        self._unsent += data
        if not self._idle.is_set():
            return
        self._idle.clear()
        try:
            while self._unsent:
                data, self._unsent = self._unsent, b""
                self._connection.send(data)
        finally:
            self._idle.set()

    def forget(self, stream: int) -> None:
        """The stream has ended."""
        if self._exchanges.pop(stream, None) is None:
            return
        self._flush()
        if self._shared.leaving and not self._exchanges:
            self.close()
        self._changed()

    def close(self) -> None:
        """Close the connection."""
        if not self._closed:
            self._closed = True
            if self._pump is not gevent.getcurrent():
                self._pump.kill(block=False)
            self._connection.close()
            self._changed()

    # The pump.

    def _run(self) -> None:
        try:
            if self._native is None:
                self._read_at_once()
            else:
                self._take_stored(self._native)
        except OSError as error:
            self._break(partial(_broke, error))

    def _take_stored(self, native: NativeDriver) -> None:
        registered = self._connection.registration = Registered(native.reader, self._connection)
        while not self._closed:
            arrived = registered.take()
            if not arrived.arrivals.sizes and arrived.closed_ns is None and arrived.error is None:
                native.wait_for_bytes(registered)
            else:
                self._take(arrived)
            if len(self._exchanges) > 1:
                gevent.sleep(COLLECT_S)

    def _read_at_once(self) -> None:
        descriptor = self._connection.watched()
        self._connection.settimeout(_SEND_S)
        empty_ns = None
        while not self._closed:
            looked_ns = time.time_ns()
            while (arrival := self._connection.poll(empty_ns)) is not None:
                data, read = arrival
                if not data:
                    self._break(partial(_closed, read.t_ns))
                    return
                self._give(data, read)
                if self._closed:
                    return
                looked_ns = time.time_ns()
            empty_ns = looked_ns
            self._flush()
            if not self._closed:
                wait_read(descriptor)

    def _take(self, arrived: Arrived) -> None:
        arrivals, error = arrived.arrivals, arrived.error
        if arrivals.sizes and self._connection.tls is not None:
            arrivals, broken = self._connection.decrypted(arrivals)
            error = broken or error
        for data, read in arrivals.pairs():
            self._give(data, read)
            if self._closed:
                return
        self._flush()
        if error is not None:
            raise error
        if arrived.closed_ns is not None or self._connection.closed_by_tls:
            self._break(partial(_closed, arrived.closed_ns or time.time_ns()))

    def _give(self, data: bytes, read: Read) -> None:
        """Give each stream what one read brought of it."""
        shared, exchanges = self._shared, self._exchanges
        plain, parts = shared.cut(data)
        awaited = []
        for frame in plain:
            exchange = exchanges.get(frame.stream)
            if exchange is not None and exchange.put_off(frame, read):
                awaited.append(exchange)
        for exchange in awaited:
            exchange.parse_now()
            if exchange.satisfied:
                self._wake(exchange.stream)
        for part in parts:
            exchange = exchanges.get(part.stream)
            if exchange is not None:
                exchange.take_part(part, read)
                if exchange.satisfied:
                    self._wake(part.stream)
        if shared.ended or shared.sending:
            concerned, shared.ended, shared.sending = [*shared.ended, *shared.sending], [], []
            for stream in concerned:
                if exchange := self._exchanges.get(stream):
                    exchange.go_on()
                    self._wake(stream)
        if shared.failed or (shared.leaving and not self._exchanges):
            self._flush()
            self.close()

    def _wake(self, stream: int) -> None:
        waiter = self._waiting.pop(stream, None)
        if waiter is not None:
            self._turns.soon(partial(waiter.switch, None))

    def _flush(self) -> None:
        """Send acknowledgements, window updates and resets."""
        if not self._closed:
            with suppress(OSError):  # the pump will see what has become of the connection
                self.send(self._shared.outgoing())

    def _break(self, end: Callable[[SharedExchange], None]) -> None:
        """The connection has ended, and with it all its streams."""
        self._shared.session.leaving = self._shared.failed = True
        for stream, exchange in list(self._exchanges.items()):
            end(exchange)
            self._wake(stream)
        self.close()


class Stream:
    """One stream of a line, as its exchange sees it (see `Carrier`)."""

    registration = None

    def __init__(self, line: Line, number: int) -> None:
        self._line = line
        self._number = number

    def send(self, data: bytes) -> None:
        """See `Carrier`."""
        self._line.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """The line has its own limit, because a send may carry bytes of other streams."""

    def half_close(self) -> None:
        """The request ended with its last byte: nothing is left to close."""

    def close(self, how: Close = Close.FIN) -> None:  # noqa: ARG002 - the other streams go on, whatever it is
        """The exchange is over; its parser has reset the stream where that was needed."""
        self._line.forget(self._number)


class Place:
    """A place for one of the N connections."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.opening = BoundedSemaphore()
        self.claims = 0  # streams that are about to start here

    @property
    def load(self) -> int:
        return self.claims + (self.line.streams if self.line else 0)

    @property
    def has_room(self) -> bool:
        """Whether a stream can start here, perhaps after a connection has been opened."""
        return self.line is None or not self.line.usable or self.line.has_room


class Lines:
    """The connections of a process."""

    def __init__(self, count: int, hub: Hub, work: Turns, native: NativeDriver | None) -> None:
        self._hub = hub
        self._turns = work
        self._native = native
        self._places = [Place() for _ in range(count)]
        self._queue: deque[Waiter] = deque()  # streams that wait for room

    def start(
        self, prepared: PreparedRequest, state: ExchangeState, open_connection: Open, deadline_s: float | None
    ) -> SharedExchange:
        """Send a request where the fewest streams are, as soon as there is room. Raises what `Line.start` and
        `open_connection` raise, and TimeoutError at the deadline.
        """
        while True:
            place = self._roomiest()
            if place is None:
                self._wait_for_room(deadline_s)
                continue
            place.claims += 1
            try:
                line = self._line_of(place, open_connection)
                if line.has_room:
                    return line.start(prepared, state)
            finally:
                place.claims -= 1

    def close(self) -> None:
        """Close all connections."""
        for place in self._places:
            if place.line is not None:
                place.line.close()

    def _roomiest(self) -> Place | None:
        return min((place for place in self._places if place.has_room), key=lambda place: place.load, default=None)

    def _line_of(self, place: Place, open_connection: Open) -> Line:
        """The place's connection. The first stream opens it while the others wait."""
        with place.opening:
            if place.line is None or not place.line.usable:
                connection = open_connection()
                place.line = Line(connection, self._hub, self._turns, self._native, self._admit)
            return place.line

    def _wait_for_room(self, deadline_s: float | None) -> None:
        waiter = Waiter(self._hub)
        self._queue.append(waiter)
        try:
            _sleep(self._hub, waiter, left_of(deadline_s))
        finally:
            with suppress(ValueError):
                self._queue.remove(waiter)

    def _admit(self) -> None:
        """Let the next stream look for room."""
        if self._queue:
            self._turns.soon(partial(self._queue.popleft().switch, None))


class SharedTransport(CaptureTransport):
    """The transport of one user, over the lines of the process."""

    def __init__(self, lines: Lines, *, connector: Connector, driver: Driver | None = None) -> None:
        super().__init__(connector=connector, driver=driver)
        self._lines = lines

    def begin(self, prepared: PreparedRequest, capture: Capture) -> Exchange:
        """See CaptureTransport. The exchange starts when its stream does."""
        to, deadline_s = prepared.to, prepared.deadline_s
        state = ExchangeState(capture)
        wanted_ns = time.time_ns()
        state.begin(prepared.method, to.text, wanted_ns)
        state.wanted(wanted_ns)
        proxy: Proxy | None = None
        try:
            proxy = self._connector.proxy_for(to.url)
            connect = partial(self._connect, to.origin, state, proxy, prepared.connect_timeout_s, deadline_s)
            return self._lines.start(prepared, state, connect, deadline_s)
        except (OSError, UnicodeError) as error:
            raise self._failed(error, state, to.origin, proxy) from error

    def close(self) -> None:
        """Nothing to close: the lines are the process's."""


def _sleep(hub: Hub, waiter: Waiter, wait_s: float | None) -> None:
    """Sleep until the waiter is switched to, or for `wait_s` seconds at most; None is no limit."""
    timer = hub.loop.timer(wait_s or 0)
    if wait_s is not None:
        timer.start(waiter.switch, None)
    try:
        waiter.get()
    finally:
        timer.close()


def _broke(error: OSError, exchange: Exchange) -> None:
    exchange.broke(error)


def _closed(at_ns: int, exchange: Exchange) -> None:
    exchange.closed(at_ns)


def lines(count: int) -> Lines:
    """Those of this thread's hub, which are made with the first call."""
    hub: Any = gevent.get_hub()
    found: Lines | None = getattr(hub, "streamgauge_lines", None)
    if found is None:
        found = hub.streamgauge_lines = Lines(count, hub, turns(), native_driver())
    return found
