"""Reads one response into a Capture: waits, keeps time limits, leaves early, returns the connection for reuse.

There are two ways to read. Without a `watch`, `step` blocks for one read and parses it at once. With a `watch`, an
event loop calls `_take`, which only stores the read. Parsing many reads at once costs a third of parsing each, and
while one stream is parsed the tokens of the others wait in their sockets. The stored reads are parsed when a read may
end the response, when no read has come for a second, and at the end.
"""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import httpx

from streamgauge.transport.connection import Close, Connection
from streamgauge.wire import Capture, End, Read

_TICK_S: Final = 1.0
_BATCH: Final = 64  # reads that the parser's fast path takes at once; a batch that it declines is halved
_FEW: Final = 4  # a batch of at most this size is not halved but parsed read by read
_MOST_STORED_BYTES: Final = 4 * 1024 * 1024  # above this, parse at once: only the parser enforces the body limit


class Watch(Protocol):
    """How an event loop waits for many connections at once."""

    def __call__(self, descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
        """Call `take` whenever `descriptor` can be read. Call `tick` at once, and again after the seconds it returns.

        Return when `take` has returned False or `tick` has returned None.
        """


class Parser(Protocol):
    """Parses the bytes of one response: fills the capture, and ends it."""

    done: bool
    keep_alive: bool
    default_close: Close  # how a client of this protocol ends a response that it no longer wants

    @property
    def broken_hint(self) -> str:
        """Added to the message about a broken connection when the peer may not speak this protocol at all."""

    @property
    def unsent(self) -> bool:
        """Whether a part of the request waits until the peer opens its flow-control window."""

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`."""

    def plain(self, data: bytes) -> bool:
        """Whether parsing these bytes can wait: they only continue the body, neither end it nor call for an answer."""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """The fast path of `feed` for many reads, numbered from `read` on. Law: it has the effect of `feed` for each of
        them, or returns False and has none.
        """

    def eof(self) -> None:
        """The peer closed its side."""

    def outgoing(self) -> bytes:
        """The bytes that have to be sent now."""

    def cancel(self) -> bytes:
        """The bytes that end this response but not the connection; empty where only closing the connection ends it."""

    def release(self) -> None:
        """Take no more bytes."""


def raise_for_end(capture: Capture) -> None:
    """Raise the exception that httpx's callers expect of an unfinished response; nothing for any other end."""
    end, detail = capture.end, capture.detail
    if end is End.TIMEOUT:
        raise httpx.ReadTimeout(detail or "timeout")
    if end in (End.CLOSED, End.MALFORMED, End.TOO_LARGE):
        raise httpx.RemoteProtocolError(detail or end.value)
    if end in (End.RESET, End.CANCELLED):
        raise httpx.ReadError(detail or end.value)


class Exchange(httpx.SyncByteStream):
    """The body of one response, as httpx iterates it; `drain` reads the same without httpx in between."""

    def __init__(
        self,
        connection: Connection,
        capture: Capture,
        parser: Parser,
        timeout_s: float | None,
        watch: Watch | None = None,
    ) -> None:
        self.capture = capture
        self._connection: Connection | None = connection
        self._parser = parser
        self._sending = parser.unsent
        self._timeout_s = timeout_s
        self._iterated = 0  # pieces of the body that `__iter__` has yielded
        self._pool: list[Connection] | None = None
        self._leave: tuple[float, Close] | None = None
        self._watch = watch
        self._stored: list[tuple[bytes, Read]] = []
        self._stored_bytes = 0
        self._deadline_s: float | None = None
        self._until_head = False
        # The read timeout of a watched response: its ticks count the reads, and time the last tick that found new ones.
        self._reads_at_tick = 0
        self._last_read_s = 0.0

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
            more = self.step()  # the read that ends the response may bring the last of the body

    def step(self, deadline_s: float | None = None) -> bool:
        """Do one read; False when the response has ended (`capture.end` has the reason)."""
        if self._parser.done or self._connection is None:
            self._finish()
            return False
        timeout_s = self._timeout_s
        limits = self._time_limits(deadline_s)
        if limits:
            left = min(limits) - time.monotonic()
            if left <= 0:
                self._out_of_time()
                return False
            timeout_s = left if timeout_s is None else min(left, timeout_s)
        try:
            self._connection.settimeout(timeout_s)
            data, read = self._connection.receive()
        except TimeoutError:
            if limits and time.monotonic() >= min(limits):
                self._out_of_time()
                return False
            self._stop_silent(0.0 if timeout_s is None else timeout_s)
            return False
        except OSError as error:
            self._stop_broken(error)
            return False
        self._parse(data, read)
        return self._answer()

    def drain(self, deadline_s: float | None = None) -> None:
        """Read to the end; `deadline_s` is on the monotonic clock."""
        if self._watch is not None:
            self._read_by_watch(self._watch, deadline_s, until_head=False)
        else:
            while self.step(deadline_s):
                pass

    def read_head(self, deadline_s: float | None = None) -> None:
        """Read until the head is there, or the response has ended without one."""
        if self._watch is not None:
            self._read_by_watch(self._watch, deadline_s, until_head=True)
        else:
            while self.capture.head is None and self.step(deadline_s):
                pass

    def _read_by_watch(self, watch: Watch, deadline_s: float | None, *, until_head: bool) -> None:
        """Let `watch` call `_take` and `_tick` until the end, or only until the head is there."""
        # A request body that waits for flow control is sent here: an event loop must not block in a send.
        while self._parser.unsent and self.step(deadline_s):
            pass
        if self._parser.done or self._connection is None:
            self._finish()
            return
        self._deadline_s, self._until_head = deadline_s, until_head
        self._reads_at_tick, self._last_read_s = self._read_count, time.monotonic()
        watch(self._connection.watched(), self._take, self._tick)

    @property
    def _read_count(self) -> int:
        return len(self.capture.reads) + len(self._stored)

    def _take(self) -> bool:
        """Store one read; False when the response has ended, or its head is there and only that was wanted."""
        assert self._connection is not None
        try:
            arrival = self._connection.poll()
        except OSError as error:
            self._stop_broken(error)
            return False
        if arrival is None:
            return True
        self._stored.append(arrival)
        data = arrival[0]
        self._stored_bytes += len(data)
        if self._parser.plain(data) and self._stored_bytes < _MOST_STORED_BYTES:
            return True
        self._parse_stored()
        return self._answer() and not (self._until_head and self.capture.head is not None)

    def _answer(self) -> bool:
        """Send what the parser has to send (HTTP/2 settings, windows); False when the response has ended."""
        assert self._connection is not None
        if answer := self._parser.outgoing():
            try:
                self._connection.send(answer)
            except OSError as error:
                self._stop_broken(error)
                return False
            if self._sending:
                self._sending = self._parser.unsent
                self.capture.sent_ns = time.time_ns()
        if self._parser.done:
            self._finish()
            return False
        return True

    def _tick(self) -> float | None:
        """Check the time limits. Returns the seconds to the next call, None when the response has ended."""
        now_s = time.monotonic()
        limits = self._time_limits(self._deadline_s)
        if limits and min(limits) <= now_s:
            self._out_of_time()
            return None
        if self._read_count != self._reads_at_tick:
            self._reads_at_tick, self._last_read_s = self._read_count, now_s
        elif self._stored:
            # The final chunk may share a read with trailing bytes, and `plain` looks at the last four bytes only.
            self._parse_stored()
            if not self._answer():
                return None
        waits = [_TICK_S, *(end - now_s for end in limits)]
        if self._timeout_s is not None:
            left_s = self._last_read_s + self._timeout_s - now_s
            if left_s <= 0:
                self._stop_silent(self._timeout_s)
                return None
            waits.append(left_s)
        return min(waits)

    def _parse_stored(self) -> None:
        """Parse the stored reads, as many as possible by the parser's fast path."""
        stored, self._stored, self._stored_bytes = self._stored, [], 0
        capture = self.capture
        if capture.wire is None:
            # The last read may hold the terminating chunk, which the fast path always declines.
            for start in range(0, len(stored) - 1, _BATCH):
                self._parse_batch(stored[start : min(start + _BATCH, len(stored) - 1)])
            stored = stored[-1:]
        self._parse_each(stored)

    def _parse_batch(self, stored: list[tuple[bytes, Read]]) -> None:
        capture = self.capture
        if self._parser.feed_plain([data for data, _ in stored], len(capture.reads)):
            capture.reads += [read for _, read in stored]
        elif len(stored) <= _FEW:
            self._parse_each(stored)
        else:
            half = len(stored) // 2
            self._parse_batch(stored[:half])
            self._parse_batch(stored[half:])

    def _parse_each(self, stored: list[tuple[bytes, Read]]) -> None:
        for data, read in stored:
            if self._parser.done:
                self._parser.keep_alive = False  # bytes behind the end: the connection is out of step
                break
            self._parse(data, read)

    def _parse(self, data: bytes, read: Read) -> None:
        capture = self.capture
        if not data:
            capture.end_ns = read.t_ns
            self._parser.eof()
            return
        index = len(capture.reads)
        capture.reads.append(read if len(data) == read.size else read._replace(size=len(data)))
        if capture.wire is not None:
            capture.wire.append(data)
        self._parser.feed(data, index)

    def _time_limits(self, deadline_s: float | None) -> list[float]:
        """The times to stop at, on the monotonic clock, even while bytes come."""
        return [at for at in (deadline_s, self._leave[0] if self._leave else None) if at is not None]

    def _stop_silent(self, waited_s: float) -> None:
        missing = "answer" if self.capture.head is None else "byte"
        self._stop(End.TIMEOUT, f"no {missing} came for {waited_s:.1f} s")

    def _stop_broken(self, error: OSError) -> None:
        hint = self._parser.broken_hint
        if isinstance(error, ssl.SSLError):
            self._stop(End.MALFORMED, f"TLS failed while reading: {error.reason or error}")
        elif isinstance(error, ConnectionResetError | BrokenPipeError):
            self._stop(End.RESET, f"the connection was reset by the peer{hint}")
        else:
            self._stop(End.RESET, f"the connection broke: {error.strerror or error}{hint}")

    def half_close(self) -> None:
        """Close the sending side, and go on reading."""
        if self._connection is not None:
            self._connection.half_close()

    def leave(self, how: Close) -> None:
        """Close before the end, as a user who stops the answer."""
        self._parse_stored()
        capture = self.capture
        if capture.end is None:
            capture.end = End.CANCELLED
            capture.detail = f"closed by the harness ({how.value.upper()})"
        connection, self._connection = self._connection, None
        if connection is not None:
            capture.end_ns = time.time_ns()
            farewell = self._parser.cancel() if how is Close.RST_STREAM else b""
            if farewell and _sent(connection, farewell) and self._parser.keep_alive and self._pool is not None:
                self._pool.append(connection)
            else:
                connection.close(how)
            self._parser.release()

    def leave_at(self, when_s: float, how: Close) -> None:
        """Close at that time of the monotonic clock, with or without an answer, unless the response has ended."""
        self._leave = (when_s, how)

    def interrupt(self) -> None:
        """End the exchange because the run ends; the outcome says nothing about the endpoint."""
        if self.capture.end is None:
            self._stop(End.INTERRUPTED, "the run ended before the stream did")

    def close(self) -> None:
        """End the response, for httpx: it closes every response, also one that it has not read to the end."""
        if self._connection is not None:
            self.leave(self._parser.default_close)

    def keep_in(self, pool: list[Connection]) -> None:
        """Put the connection into this pool when the response is complete and the peer keeps it open."""
        self._pool = pool

    def _out_of_time(self) -> None:
        if self._leave is not None and time.monotonic() >= self._leave[0]:
            self.leave(self._leave[1])
        else:
            self._stop(End.TIMEOUT, "the stream was still running at the deadline")

    def _stop(self, end: End, detail: str) -> None:
        self._parse_stored()
        if not self._parser.done:
            self.capture.end = end
            self.capture.detail = detail
        self._finish()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        capture = self.capture
        if connection is None:
            return
        self._parser.release()
        if capture.end_ns is None:
            # A complete response ended with its last byte. Any other ended when the harness stopped waiting.
            complete = capture.end is End.COMPLETE and capture.reads
            capture.end_ns = capture.reads[-1].t_ns if complete else time.time_ns()
        if self._parser.done and self._parser.keep_alive and self._pool is not None:
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
