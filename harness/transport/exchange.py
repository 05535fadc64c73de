"""One response being read into a Capture: waited for, bounded in time, left early, and kept for reuse at its end."""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import httpx

from streamgauge.transport.connection import Close, Connection
from streamgauge.wire import Capture, End, Read

_TICK_S: Final = 1.0
_WINDOW: Final = 64  # reads that are looked at together; where one is unusual, fewer and fewer
_FEW: Final = 4
_STORED_BYTES: Final = 4 * 1024 * 1024  # more is looked at, because only the parser knows the limits of a body


class Watch(Protocol):
    """How an event loop waits for many connections at once."""

    def __call__(self, descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
        """Call `take` whenever `descriptor` can be read, and `tick` at once and again after the seconds it returns.

        Return when `take` has returned False or `tick` None.
        """


class Parser(Protocol):
    """What the bytes of one response mean: it fills the capture, and ends it."""

    done: bool
    keep_alive: bool
    leaves: Close  # how a client of this protocol leaves a response that it does not want

    @property
    def doubt(self) -> str:
        """Said with a connection that broke, where the peer may not speak this protocol at all."""

    @property
    def unsent(self) -> bool:
        """Whether the peer has to make room for the rest of the request."""

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`."""

    def plain(self, data: bytes) -> bool:
        """Whether the bytes of a read can wait: more of the body, no end, and nothing that wants an answer."""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """What `feed` does, for reads from number `read` on; False, and nothing is taken, where it has to do it."""

    def eof(self) -> None:
        """The peer closed its side."""

    def outgoing(self) -> bytes:
        """What has to be sent now."""

    def cancel(self) -> bytes:
        """What ends this response and leaves the connection; nothing where only closing that does."""

    def release(self) -> None:
        """Take no more."""


def raise_for_end(capture: Capture) -> None:
    """What httpx's callers expect of an unfinished response; nothing for one that ended otherwise."""
    end, detail = capture.end, capture.detail
    if end is End.TIMEOUT:
        raise httpx.ReadTimeout(detail or "timeout")
    if end in (End.CLOSED, End.MALFORMED, End.TOO_LARGE):
        raise httpx.RemoteProtocolError(detail or end.value)
    if end in (End.RESET, End.CANCELLED):
        raise httpx.ReadError(detail or end.value)


class Exchange(httpx.SyncByteStream):
    """The body of one response, as httpx iterates it; `drain` is the same without httpx in between.

    With a `watch`, waiting is its business, and reads are only stored as they come; what they mean is found out when
    one may have ended the response, when none has come for a while, and at the end.
    """

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
        self._returned = 0
        self._pool: list[Connection] | None = None
        self._leave: tuple[float, Close] | None = None
        self._watch = watch
        self._arrived: list[tuple[bytes, Read]] = []
        self._arrived_bytes = 0
        self._deadline_s: float | None = None
        self._until_head = False
        self._heard = 0  # reads until `_heard_s`, when the last tick found new ones
        self._heard_s = 0.0

    def __iter__(self) -> Iterator[bytes]:
        body = self.capture.body
        more = True
        while True:
            while self._returned < len(body):
                self._returned += 1
                yield body[self._returned - 1][1]
            if not more:
                raise_for_end(self.capture)
                return
            more = self.step()  # the read that ends the response may bring the last of the body

    def step(self, deadline_s: float | None = None) -> bool:
        """Do one read; False when the response has ended, for whatever reason (see `capture.end`)."""
        if self._parser.done or self._connection is None:
            self._finish()
            return False
        timeout_s = self._timeout_s
        ends = self._ends(deadline_s)
        if ends:
            left = min(ends) - time.monotonic()
            if left <= 0:
                self._out_of_time()
                return False
            timeout_s = left if timeout_s is None else min(left, timeout_s)
        try:
            self._connection.settimeout(timeout_s)
            data, read = self._connection.receive()
        except TimeoutError:
            if ends and time.monotonic() >= min(ends):
                self._out_of_time()
                return False
            self._silent(0.0 if timeout_s is None else timeout_s)
            return False
        except OSError as error:
            self._broke(error)
            return False
        self._feed(data, read)
        return self._goes_on()

    def drain(self, deadline_s: float | None = None) -> None:
        """Read to the end; `deadline_s` is on the monotonic clock."""
        if self._watch is not None:
            self._be_called(self._watch, deadline_s, until_head=False)
        else:
            while self.step(deadline_s):
                pass

    def read_head(self, deadline_s: float | None = None) -> None:
        """Read until the head is there, or the response has ended without one."""
        if self._watch is not None:
            self._be_called(self._watch, deadline_s, until_head=True)
        else:
            while self.capture.head is None and self.step(deadline_s):
                pass

    def _be_called(self, watch: Watch, deadline_s: float | None, *, until_head: bool) -> None:
        """Let `watch` call until the end, or only until the head is there."""
        while self._parser.unsent and self.step(deadline_s):  # a loop that serves all cannot wait for one to be sent
            pass
        if self._parser.done or self._connection is None:
            self._finish()
            return
        self._deadline_s, self._until_head = deadline_s, until_head
        self._heard, self._heard_s = self._count, time.monotonic()
        watch(self._connection.watched(), self._take, self._tick)

    @property
    def _count(self) -> int:
        return len(self.capture.reads) + len(self._arrived)

    def _take(self) -> bool:
        """Store one read; False when there is nothing more to wait for."""
        assert self._connection is not None
        try:
            arrival = self._connection.poll()
        except OSError as error:
            self._broke(error)
            return False
        if arrival is None:
            return True
        self._arrived.append(arrival)
        data = arrival[0]
        self._arrived_bytes += len(data)
        if self._parser.plain(data) and self._arrived_bytes < _STORED_BYTES:
            return True
        self._digest()
        return self._goes_on() and not (self._until_head and self.capture.head is not None)

    def _goes_on(self) -> bool:
        """Answer what wants an answer; False when the response has ended."""
        assert self._connection is not None
        if answer := self._parser.outgoing():
            try:
                self._connection.send(answer)
            except OSError as error:
                self._broke(error)
                return False
            if self._sending:
                self._sending = self._parser.unsent
                self.capture.sent_ns = time.time_ns()
        if self._parser.done:
            self._finish()
            return False
        return True

    def _tick(self) -> float | None:
        """Seconds until this wants to be called again; None when the time is over."""
        now_s = time.monotonic()
        ends = self._ends(self._deadline_s)
        if ends and min(ends) <= now_s:
            self._out_of_time()
            return None
        if self._count != self._heard:
            self._heard, self._heard_s = self._count, now_s
        elif self._arrived:
            self._digest()  # the end may have come together with something behind it
            if not self._goes_on():
                return None
        waits = [_TICK_S, *(end - now_s for end in ends)]
        if self._timeout_s is not None:
            left_s = self._heard_s + self._timeout_s - now_s
            if left_s <= 0:
                self._silent(self._timeout_s)
                return None
            waits.append(left_s)
        return min(waits)

    def _digest(self) -> None:
        """Find out what the stored reads mean."""
        arrived, self._arrived, self._arrived_bytes = self._arrived, [], 0
        capture = self.capture
        if capture.wire is None:
            # The last may be the end, which is no chunk.
            for start in range(0, len(arrived) - 1, _WINDOW):
                self._look_at(arrived[start : min(start + _WINDOW, len(arrived) - 1)])
            arrived = arrived[-1:]
        self._look_at_each(arrived)

    def _look_at(self, arrived: list[tuple[bytes, Read]]) -> None:
        capture = self.capture
        if self._parser.feed_plain([data for data, _ in arrived], len(capture.reads)):
            capture.reads += [read for _, read in arrived]
        elif len(arrived) <= _FEW:
            self._look_at_each(arrived)
        else:
            half = len(arrived) // 2
            self._look_at(arrived[:half])
            self._look_at(arrived[half:])

    def _look_at_each(self, arrived: list[tuple[bytes, Read]]) -> None:
        for data, read in arrived:
            if self._parser.done:
                self._parser.keep_alive = False  # this came behind the end
                break
            self._feed(data, read)

    def _feed(self, data: bytes, read: Read) -> None:
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

    def _ends(self, deadline_s: float | None) -> list[float]:
        """When to stop, on the monotonic clock, whatever comes."""
        return [at for at in (deadline_s, self._leave[0] if self._leave else None) if at is not None]

    def _silent(self, waited_s: float) -> None:
        what = "answer" if self.capture.head is None else "byte"
        self._stop(End.TIMEOUT, f"no {what} came for {waited_s:.1f} s")

    def _broke(self, error: OSError) -> None:
        doubt = self._parser.doubt
        if isinstance(error, ssl.SSLError):
            self._stop(End.MALFORMED, f"TLS failed while reading: {error.reason or error}")
        elif isinstance(error, ConnectionResetError | BrokenPipeError):
            self._stop(End.RESET, f"the connection was reset by the peer{doubt}")
        else:
            self._stop(End.RESET, f"the connection broke: {error.strerror or error}{doubt}")

    def half_close(self) -> None:
        """Tell the peer that nothing more will be sent, and go on reading."""
        if self._connection is not None:
            self._connection.half_close()

    def leave(self, how: Close) -> None:
        """Close before the end, as a user who has seen enough."""
        self._digest()
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
        """Close at that time of the monotonic clock if the response has not ended by then, answered or not."""
        self._leave = (when_s, how)

    def interrupt(self) -> None:
        """The run ends here, not the stream."""
        if self.capture.end is None:
            self._stop(End.INTERRUPTED, "the run ended before the stream did")

    def close(self) -> None:
        """httpx closes a response it is done with."""
        if self._connection is not None:
            self.leave(self._parser.leaves)

    def keep_in(self, pool: list[Connection]) -> None:
        """Where the connection goes when the response is complete and the peer keeps it open."""
        self._pool = pool

    def _out_of_time(self) -> None:
        if self._leave is not None and time.monotonic() >= self._leave[0]:
            self.leave(self._leave[1])
        else:
            self._stop(End.TIMEOUT, "the stream was still running at the deadline")

    def _stop(self, end: End, detail: str) -> None:
        self._digest()
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
            # A complete response ended with its last byte; anything else ended when we stopped waiting.
            complete = capture.end is End.COMPLETE and capture.reads
            capture.end_ns = capture.reads[-1].t_ns if complete else time.time_ns()
        if self._parser.done and self._parser.keep_alive and self._pool is not None:
            self._pool.append(connection)
        else:
            connection.close()


def _sent(connection: Connection, farewell: bytes) -> bool:
    """Whether it went out at once: this may be the event loop, and it is a few bytes."""
    try:
        connection.settimeout(0)
        connection.send(farewell)
    except OSError:
        return False
    return True
