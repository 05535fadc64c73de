"""One response as it comes in: it holds the connection, and says what has to happen next; a driver waits for bytes.

There are three drivers behind one seam (`Driver`): a blocking one (blocking.py), one that looks at all sockets of an
event loop at once, and one for the native reader's thread (both in scenarios/). A driver gives each read to `take`, or
many at once to `take_packed`, looks at the clock with `check_time`, and stops when the exchange is `satisfied`.

A driver that `defers` may put off parsing: parsing many reads at once costs a third of parsing each, and while one
stream is parsed the tokens of the others wait. Such reads are parsed when a read may end the response, when no read has
come for a second, when somebody has to look for content, and at the end.
"""

import math
import ssl
import time
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, Protocol

import httpx

from streamgauge.errors import OutOfMeans
from streamgauge.transport.connection import Arrived, Close, Connection
from streamgauge.transport.exchange_state import Actor, ExchangeState
from streamgauge.transport.memory import SHARE_BYTES
from streamgauge.transport.parsing import Parser, parse_reads
from streamgauge.units import SECOND
from streamgauge.wire import Arrivals, Capture, End, Excess, PlainResponse, Read

TICK_S: Final = 1.0
"""After so much silence, reads whose parsing was put off are parsed."""
MOST_STORED_BYTES: Final = SHARE_BYTES
"""Above this, reads are parsed at once, because only the parser enforces the limit of a body."""
CONTENT_LOOK_S: Final = 5.0
"""How often a driver of many exchanges lets one look for content. A look takes about 0.1 ms, and parses what was put
off; most streams of a load are over before their first look."""
NOTE_BYTES: Final = 24  # what the note of a read counts beside its bytes, as in the native reader
READ_BYTES: Final = 300  # of memory that a parsed read takes: a tuple and its five numbers
PIECE_BYTES: Final = 130  # and a piece of the body, beside its bytes
_NEWEST_BYTES: Final = 4096  # of the stored reads, the last bytes that are searched for content
_NEWEST_S: Final = 1.0  # older bytes do not say whether content still comes
_WATCH_EVERY_S: Final = 0.005
_CONFIRM_S: Final = 0.25
"""An exchange ends for lack of content only when none comes in this time either: a busy client reads late."""


class Wants(Enum):
    """What the user of an exchange waits for; each also ends with the end."""

    READ = "one more read"
    HEAD = "the response head"
    END = "the end"


class Driver(Protocol):
    """Waits for the bytes of a connection."""

    defers: bool  # whether parsing may be put off
    look_s: float  # how often, at most, an exchange may look for content

    def drive(self, exchange: "Exchange") -> None:
        """Give the exchange what arrives, until it is satisfied."""


class Allowance(NamedTuple):
    """How long the peer may go on without content: `allowed_s` from `since_ns` (epoch; None: from the request on).

    `detail` is what the user reads when the exchange ends for that reason.
    """

    since_ns: int | None
    allowed_s: float
    detail: str


class Content(Protocol):
    """Knows which bytes of a response are content. Comments, pings and empty events are not.

    `silence_s` is how long the peer may go on without any, as long as nothing has come.
    """

    @property
    def silence_s(self) -> float: ...

    @property
    def excess(self) -> Excess | None:
        """Which limit the response has exceeded: nothing more is read of it. None while it has not."""

    def allowance(self) -> Allowance:
        """Read what has come of the response, and say how long it may go on without more content."""

    def is_in(self, data: bytes) -> bool:
        """Whether these bytes of a body seem to have content: a cheap guess, which is checked now and then."""


class Limits(NamedTuple):
    """How long an exchange may take: times of the monotonic clock, in s. None is no limit.

    `silence_s` is the longest time without a byte. `leave` closes the response at that time in that way, with or
    without an answer.
    """

    silence_s: float | None = None
    deadline_s: float | None = None
    leave: tuple[float, Close] | None = None


class Whole(NamedTuple):
    """A complete response that a fast path has taken: its parts, and the reads that they lie in."""

    response: PlainResponse
    arrivals: Arrivals


def raise_for_end(capture: Capture) -> None:
    """Raise the exception that httpx's callers expect of an unfinished response; nothing for any other end."""
    end, detail = capture.end, capture.detail
    if end is End.TIMEOUT:
        raise httpx.ReadTimeout(detail or "timeout")
    if end in (End.CLOSED, End.MALFORMED, End.TOO_LARGE):
        raise httpx.RemoteProtocolError(detail or end.value)
    if end in (End.RESET, End.CANCELLED, End.NO_ROOM):
        raise httpx.ReadError(detail or end.value)


class Kept(NamedTuple):
    """A connection that a complete response left open, watched from then on; ns since the end of the response.

    `closed_ns`: when the peer closed it; None while it was open.
    """

    watched_ns: int
    closed_ns: int | None


class Exchange(httpx.SyncByteStream):
    """The body of one response, as httpx iterates it; `read_until` reads the same without httpx in between.

    `whole` is set when a fast path has taken the response: then the capture has head, times and end, but its reads and
    its body lie packed in there.
    """

    def __init__(
        self,
        connection: Connection,
        state: ExchangeState,
        parser: Parser,
        driver: Driver,
        limits: Limits,
        pool: list[Connection],
    ) -> None:
        self.capture = state.capture
        self.limits = limits
        self.whole: Whole | None = None
        self._connection: Connection | None = connection
        self._kept: Connection | None = None  # the same, when the pool has it
        self._state = state
        self._parser = parser
        self._driver = driver
        self._pool = pool  # takes the connection when the response is complete and the peer keeps it open
        self._sending = parser.unsent
        self._iterated = 0  # pieces of the body that `__iter__` has yielded
        self._wants = Wants.END
        self._stored: list[tuple[bytes, Read]] = []  # reads whose parsing is put off …
        self._packed: list[Arrivals] = []  # … and those that came packed; never both
        self._stored_bytes = 0
        self._parsed_bytes = 0  # with NOTE_BYTES for each read
        self._charged = 0  # what `capture.memory` knows of
        # The limit of silence: `check_time` counts the reads, and times the last call that found new ones.
        self._reads_before = 0
        self._taken = 0
        self._last_read_ns = 0  # epoch
        self._last_read_s = time.monotonic()
        # The limit of content.
        self._content: Content | None = None
        self._look_s = math.inf
        self._content_due_s = 0.0  # before this time (monotonic) the guess of `Content.is_in` is enough
        self._overdue = False

    # For the user of an exchange.

    def read_until(self, wants: Wants) -> bool:
        """Read until that has come, or the response has ended; False when it has ended (`capture.end` says how)."""
        self._wants, self._reads_before = wants, len(self.capture.reads)
        if self._parser.done:
            self._finish()
        if not self.satisfied:
            self._driver.drive(self)
        return self._connection is not None

    def __iter__(self) -> Iterator[bytes]:
        body = self.capture.body
        more = True
        while True:
            while self._iterated < len(body):
                self._iterated += 1
                yield body[self._iterated - 1][1]
            if not more:
                raise_for_end(self.capture)
                return
            more = self.read_until(Wants.READ)  # the read that ends the response may bring the last of the body

    def expect(self, content: Content) -> None:
        """End the response with `End.TIMEOUT` where its content fails to come, whatever else comes meanwhile."""
        now_s, allowed_s = time.monotonic(), content.silence_s
        self._content, self._content_due_s = content, now_s + allowed_s
        self._look_s = now_s + min(self._driver.look_s, allowed_s)

    def watch_kept(self, until_ns: int) -> Kept | None:
        """Watch a connection that was kept, until so long after the end of the response or until the peer closes it.

        None where it was not kept. Nobody else may use it meanwhile.
        """
        if self._kept is None or self.capture.end_ns is None:
            return None
        while True:
            try:
                closed = self._kept.leftovers() is None
            except OSError:  # a reset, or a fault of TLS: neither is an orderly close
                closed = False
            watched_ns = time.time_ns() - self.capture.end_ns
            if closed or watched_ns >= until_ns:
                return Kept(watched_ns, watched_ns if closed else None)
            time.sleep(_WATCH_EVERY_S)

    def half_close(self) -> None:
        """Close the sending side, and go on reading."""
        if self._connection is not None:
            self._connection.half_close()

    def leave(self, how: Close) -> None:
        """Close before the end, as a user who stops the answer."""
        self._gather()
        if self._parser.done:
            self._finish()
        connection, self._connection = self._connection, None
        self._state.end(End.CANCELLED, f"closed by the harness ({how.value.upper()})", Actor.CLIENT)
        if connection is not None:
            self._state.ended_at(time.time_ns())
            farewell = self._parser.cancel() if how in (Close.RST_STREAM, Close.INVOCATION) else b""
            if farewell and _sent(connection, farewell) and self._parser.keep_alive:
                self._pool.append(connection)
            else:
                connection.close(how)
            self._parser.release()

    def refuse(self, excess: Excess) -> None:
        """End the exchange because its content exceeds a limit."""
        self._stop(excess.end, excess.detail)

    def interrupt(self) -> None:
        """End the exchange because the run ends; the outcome says nothing about the endpoint."""
        self._gather()
        self._stop(End.INTERRUPTED, "the run ended before the stream did", Actor.CLIENT)

    def close(self) -> None:
        """End the response, for httpx: it closes every response, also one that it has not read to the end."""
        if self._connection is not None:
            self.leave(self._parser.default_close)

    # For drivers.

    @property
    def connection(self) -> Connection:
        """The connection of a response that has not ended."""
        assert self._connection is not None
        return self._connection

    @property
    def satisfied(self) -> bool:
        """Whether there is what the user waits for, or the response has ended."""
        if self._connection is None:
            return True
        if self._wants is Wants.READ:
            return len(self.capture.reads) > self._reads_before
        return self._wants is Wants.HEAD and self.capture.head is not None

    @property
    def tail(self) -> bytes:
        """The last bytes of every read at which the driver must give what it has; empty: at every read.

        Under TLS the driver sees only what is encrypted, and the end of the response may lie in any read.
        """
        return self._parser.tail if self._defers and self.connection.tls is None else b""

    @property
    def waits_for_end(self) -> bool:
        """Whether parsing may wait for the end of the response, and any read may be that end (TLS, HTTP/2)."""
        return self._defers and not self.tail and (self.connection.tls is not None or self.capture.head is not None)

    @property
    def sending(self) -> bool:
        """Whether a part of the request waits for the peer's flow control."""
        return self._sending

    def take(self, data: bytes, read: Read) -> None:
        """One read; no data is the peer's end."""
        if not data:
            self.closed(read.t_ns)
            return
        self._taken += 1
        self._last_read_ns = read.user_ns
        self._stored.append((data, read))
        self._stored_bytes += len(data) + NOTE_BYTES
        if self._defers and self._parser.plain(data) and self._stored_bytes < MOST_STORED_BYTES:
            return
        self._parse_stored()
        self._answer()

    def take_packed(self, arrivals: Arrivals) -> None:
        """Reads at once, the last of which may end the response."""
        self._taken += len(arrivals.sizes)
        self._last_read_ns = arrivals.user_ns[-1]
        if self._stored or not self._defers:
            self._parse_stored()
            parse_reads(self._parser, self._state, arrivals.pairs())
        else:
            self._packed.append(arrivals)
            self._stored_bytes += len(arrivals.data) + NOTE_BYTES * len(arrivals.sizes)
            if self._parser.plain(arrivals.data) and self._stored_bytes < MOST_STORED_BYTES:
                return
            self._parse_stored()
        self._answer()

    def arrived(self, arrived: Arrived) -> None:
        """All that a registration has taken: reads, and perhaps an end behind them."""
        connection, (arrivals, closed_ns, error) = self.connection, arrived
        if arrivals.sizes and connection.tls is not None:
            arrivals, tls_error = connection.decrypted(arrivals)
            error = tls_error or error
        if arrivals.sizes:
            self.take_packed(arrivals)
        if self._connection is None:
            return
        if error is not None:
            self.broke(error, closed_ns)
        elif closed_ns is not None or connection.closed_by_tls:
            self.closed(closed_ns or time.time_ns())

    def closed(self, at_ns: int) -> None:
        """The peer closed its side, seen at that time (epoch ns)."""
        self._parse_stored()
        if not self._parser.done:
            self._state.ended_at(at_ns)
            self._parser.eof()
        self._parser.keep_alive = False
        self._finish()

    def check_time(self) -> float | None:
        """End the exchange where its time is over. Returns the seconds to the next call, None without a limit."""
        now_s = time.monotonic()
        if self.limits_s <= now_s:
            self._out_of_time()
            return None
        if self._content is not None and self._look_s <= now_s:
            self._look(self._content, now_s)
            if self._connection is None:
                return None
        if not self._taken and (self._stored or self._packed):
            self.parse_now()
        left_s = self.silence_left_s
        if left_s is not None and left_s <= 0 and self._connection is not None:
            self._parse_stored()  # the head may be among the reads whose parsing was put off
            missing = "answer" if self.capture.head is None else "byte"
            self._stop(End.TIMEOUT, f"no {missing} came for {self.limits.silence_s:.1f} s")
        wakes_s = self.wakes_s
        waits = (
            None if wakes_s is None else wakes_s - now_s, left_s, TICK_S if self._defers else None
        )  # fmt: skip
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def parse_now(self) -> None:
        """Parse what was put off, because no byte has come for a while: the final chunk may share a read with trailing
        bytes, and `plain` looks at the last four bytes only.
        """
        self._parse_stored()
        if self._connection is not None:
            self._answer()

    @property
    def silence_left_s(self) -> float | None:
        """How long the peer may still be silent (s), counted from the last read; None without such a limit."""
        now_s = time.monotonic()
        if self._taken:
            self._taken, self._last_read_s = 0, now_s - max(time.time_ns() - self._last_read_ns, 0) / SECOND
        return None if self.limits.silence_s is None else self._last_read_s + self.limits.silence_s - now_s

    @property
    def wakes_s(self) -> float | None:
        """When `check_time` must be called even while bytes come, on the monotonic clock; None for never."""
        return None if (first := min(self.limits_s, self._look_s)) == math.inf else first

    @property
    def limits_s(self) -> float:
        """When the exchange must end even while content comes (monotonic clock); infinite without such a limit."""
        leave_s = self.limits.leave[0] if self.limits.leave else math.inf
        return leave_s if self.limits.deadline_s is None else min(leave_s, self.limits.deadline_s)

    def broke(self, error: OSError, at_ns: int | None = None) -> None:
        """Reading or sending failed, seen at that time (epoch ns; None: now)."""
        hint = self._parser.broken_hint
        if isinstance(error, ssl.SSLError):
            end, detail = End.MALFORMED, f"TLS failed while reading: {error.reason or error}"
        elif isinstance(error, ConnectionResetError | BrokenPipeError):
            end, detail = End.RESET, f"the connection was reset by the peer{hint}"
        else:
            end, detail = End.RESET, f"the connection broke: {error.strerror or error}{hint}"
        self._stop(end, detail, at_ns=at_ns)

    # Inside.

    @property
    def _defers(self) -> bool:
        return self._wants is Wants.END and self._driver.defers and self.capture.wire is None

    def _gather(self) -> None:
        """Parse all that has come, also what a registration still has."""
        connection = self._connection
        if connection is not None and connection.registration is not None:
            self.arrived(connection.registration.take())
        self._parse_stored()

    def _parse_stored(self) -> None:
        """Parse the stored reads, as many as possible by the parser's fast paths."""
        stored, self._stored, packed, self._packed = self._stored, [], self._packed, []
        self._parsed_bytes += self._stored_bytes
        self._stored_bytes = 0
        if not stored and not packed:
            return
        if packed:
            arrivals = packed[0] if len(packed) == 1 else Arrivals.joined(packed)
        if not self.capture.reads and self._defers:
            arrivals = arrivals if packed else Arrivals.of(stored)
            response = self._parser.feed_whole(arrivals)
            if response is not None:
                self.whole = Whole(response, arrivals)
                return
        parse_reads(self._parser, self._state, stored or arrivals.pairs())

    def _answer(self) -> None:
        """Send what the parser has to send (HTTP/2 settings, windows); release the connection at the end."""
        if answer := self._parser.outgoing():
            try:
                self.connection.send(answer)
            except OSError as error:
                self.broke(error)
                return
            if self._sending:
                self._sending = self._parser.unsent
                self._state.sent(time.time_ns())
        if self._parser.done:
            self._finish()
            return
        try:
            self._charge()
        except OutOfMeans as error:
            self._stop(End.NO_ROOM, error.message)

    def _charge(self) -> None:
        """Count what the response takes when its reads are parsed. Raises OutOfMeans."""
        capture = self.capture
        if capture.memory is not None:
            objects = READ_BYTES * len(capture.reads) + PIECE_BYTES * len(capture.body)
            size = self._parsed_bytes * capture.memory.copies + objects
            grown, self._charged = size - self._charged, size
            capture.memory.grow(grown)

    def _look(self, content: Content, now_s: float) -> None:
        """Look whether content still comes; end the exchange where it has failed to come for too long."""
        self._look_s = now_s + self._driver.look_s
        if now_s < self._content_due_s and content.is_in(self._newest()):
            return
        self.parse_now()
        if self._connection is None:
            return
        since_ns, allowed_s, detail = content.allowance()
        if (excess := content.excess) is not None:
            self.refuse(excess)
            return
        if since_ns is None:
            since_ns = self.capture.sent_ns or time.time_ns()
        self._content_due_s = now_s + allowed_s - (time.time_ns() - since_ns) / SECOND
        if self._content_due_s > now_s:
            self._overdue = False
            self._look_s = min(self._look_s, self._content_due_s)
        elif self._overdue:
            self._stop(End.TIMEOUT, detail)
        else:
            self._overdue = True
            self._look_s = now_s + _CONFIRM_S

    def _newest(self) -> bytes:
        """The last of the stored bytes; empty where the last read is not new, or none is stored."""
        if time.time_ns() - self._last_read_ns > _NEWEST_S * SECOND:
            return b""
        if self._packed:
            return self._packed[-1].data[-_NEWEST_BYTES:]
        return self._stored[-1][0][-_NEWEST_BYTES:] if self._stored else b""

    def _out_of_time(self) -> None:
        leave = self.limits.leave
        if leave is not None and time.monotonic() >= leave[0]:
            self.leave(leave[1])
        else:
            self._stop(End.TIMEOUT, "the stream was still running at the deadline")

    def _stop(self, end: End, detail: str, by: Actor = Actor.DRIVER, *, at_ns: int | None = None) -> None:
        """End the exchange in this way, at that time (epoch ns; None: now), unless the reads so far have ended it."""
        self._parse_stored()
        if not self._parser.done:
            self._state.end(end, detail, by)
            self._state.ended_at(at_ns or time.time_ns())
        self._finish()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        capture = self.capture
        if connection is None:
            return
        self._parser.release()
        # A complete response ended with the arrival of its last byte. The parser ends any other at the moment when the
        # read was there, however late it parses.
        if self.whole is not None:
            self._state.ended_at(self.whole.arrivals.t_ns[-1])
        elif capture.reads:
            last = capture.reads[-1]
            self._state.ended_at(last.t_ns if capture.end is End.COMPLETE else last.user_ns)
        else:
            self._state.ended_at(time.time_ns())
        if self._parser.done and self._parser.keep_alive:
            self._kept = connection
            self._pool.append(connection)
        else:
            connection.close()


def _sent(connection: Connection, farewell: bytes) -> bool:
    """Send without waiting, because this may run in the event loop; False when it could not be sent."""
    try:
        connection.settimeout(0)
        connection.send(farewell)
    except OSError:
        return False
    return True
