"""The driver over the native reader: its thread takes the bytes, and wakes gevent's hub only when there is work.

A response is looked at when its first bytes are there, and then at its end. In between its tokens cost this process no
Python at all.
"""

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gevent
from gevent.hub import Hub, Waiter

from streamgauge.scenarios.turns import Turns, turns
from streamgauge.transport.connection import Arrived, Connection
from streamgauge.transport.exchange import CONTENT_LOOK_S, TICK_S, Exchange
from streamgauge.transport.memory import UNREAD_BYTES
from streamgauge.transport.native import READER
from streamgauge.units import MIB, MS, SECOND
from streamgauge.wire import Arrivals

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader

MOST_BYTES: Final = 1024 * MIB
"""Of all streams together. Above this the thread reads nothing until some bytes are taken; the run counts it."""
_TAKEN_BYTES: Final = UNREAD_BYTES // 2
"""With so many stored bytes of a stream its exchange takes them from the thread; the rest is for a hub that is late."""
LEAST_SEND_S: Final = 0.001
"""A send gets this long even when the limit of silence is over."""
MANY: Final = 16
COLLECT_S: Final = 0.002
"""While so many exchanges wait, reads that the hub looks at are taken at most once in this time. The thread has stamped
and stored them.
"""
LOOK_NS: Final = MS // 5
"""After so much of looking, the other exchanges get their greenlets' turns, so that the hub is not held up."""
NICE: Final = -10
"""The thread asks for this priority. It needs little CPU, but needs it at once."""


class Registered:
    """A connection whose bytes the thread takes (see `Registration`)."""

    def __init__(self, reader: "Reader", connection: Connection) -> None:
        self._reader = reader
        self.slot = reader.add(connection.watched())

    def take(self) -> Arrived:
        taken = self._reader.take(self.slot)
        arrivals = Arrivals(
            taken.data,
            memoryview(taken.t_ns).cast("q").tolist(),
            memoryview(taken.user_ns).cast("q").tolist(),
            memoryview(taken.sizes).cast("I").tolist(),
            memoryview(taken.unstamped).cast("I").tolist() if taken.unstamped else (),
            memoryview(taken.empty_ns).cast("q").tolist(),
        )
        error = OSError(taken.ended, os.strerror(taken.ended)) if taken.ended else None
        return Arrived(arrivals, taken.ended_ns, error)

    def idle(self) -> bool:
        return self._reader.stored(self.slot) == (0, None)

    def remove(self) -> None:
        self._reader.remove(self.slot)


class Waiting(NamedTuple):
    """A greenlet that waits for a slot. `looked_at` is set where the hub looks at the reads in its place: an exchange
    whose end may lie in any read, because of TLS or HTTP/2. A wake for each of them would cost more than all the rest.
    """

    waiter: Waiter
    registered: Registered
    looked_at: Exchange | None = None


class NativeDriver:
    """One reading thread for all exchanges of a hub."""

    defers = True
    look_s = CONTENT_LOOK_S

    def __init__(self, hub: Hub, work: Turns, reader: "Reader") -> None:
        self._hub = hub
        self._turns = work
        self.reader = reader
        self._waiting: dict[int, Waiting] = {}  # by slot
        self._collect = hub.loop.timer(COLLECT_S, COLLECT_S)
        self._ready = hub.loop.io(reader.fileno(), 1)
        self._ready.start(self._wake)

    @property
    def priority(self) -> str:
        """The priority that the system gave to the thread, in words."""
        stats = self.reader.stats()
        if stats["realtime"]:
            return "real-time priority"
        return "normal priority" if stats["nice"] is None else f"nice {stats['nice']}"

    def drive(self, exchange: Exchange) -> None:
        """See `Driver`. The greenlet sleeps until there is something to look at."""
        connection = exchange.connection
        registered = connection.registration
        if not isinstance(registered, Registered):
            registered = connection.registration = Registered(self.reader, connection)
        ticked = False  # a tick of silence has passed since the last bytes
        while not exchange.satisfied:
            why = self._wait(registered, exchange, ticked=ticked)
            if exchange.satisfied:
                return
            arrived = registered.take()
            ticked = bool(why & self.reader.SILENCE)
            if exchange.sending:  # the rest of the request may take more than one send
                left_s = exchange.silence_left_s
                connection.settimeout(None if left_s is None else max(left_s, LEAST_SEND_S))
            exchange.arrived(arrived)
            if ticked:
                exchange.parse_now()
            if why & (self.reader.DEADLINE | self.reader.SILENCE) and not exchange.satisfied:
                exchange.check_time()

    def wait_for_bytes(self, registered: Registered) -> None:
        """Sleep until bytes have come, or an end, on a connection that several exchanges share."""
        slot = registered.slot
        waiting = self._waiting[slot] = Waiting(Waiter(self._hub), registered)
        try:
            self.reader.arm(slot, self.reader.FIRST)
            waiting.waiter.get()
        finally:
            if self._waiting.get(slot) is waiting:
                del self._waiting[slot]

    def _wait(self, registered: Registered, exchange: Exchange, *, ticked: bool) -> int:
        """Arm the slot and sleep; returns the reasons of the wake-up. `ticked`: a tick of silence has passed."""
        reader, slot = self.reader, registered.slot
        silence_s = exchange.silence_left_s
        if not ticked:
            silence_s = TICK_S if silence_s is None else min(TICK_S, silence_s)
        wakes_s = exchange.wakes_s
        wake = reader.EVERY
        if exchange.tail:
            # The first byte after a tick wakes too, because from there the next silence has to be noticed.
            wake = reader.TAIL | reader.SIZE | (reader.FIRST if ticked else 0)
        looked_at = exchange if exchange.waits_for_end and not exchange.sending and not ticked else None
        waiting = self._waiting[slot] = Waiting(Waiter(self._hub), registered, looked_at)
        try:
            reader.arm(
                slot,
                wake,
                size=_TAKEN_BYTES,
                tail=exchange.tail,
                deadline_ns=0 if wakes_s is None else int(wakes_s * SECOND),
                silence_ns=0 if silence_s is None else max(int(silence_s * SECOND), 1),
            )
            why = waiting.waiter.get()
            assert isinstance(why, int)
            return why
        finally:
            if self._waiting.get(slot) is waiting:
                del self._waiting[slot]
                reader.disarm(slot)

    def _wake(self) -> None:
        self._collect.stop()
        looks = 0  # exchanges that wait on
        ends_ns = time.monotonic_ns() + LOOK_NS
        for slot, why in self.reader.ready():
            waiting = self._waiting.get(slot)
            if waiting is None:
                continue
            in_hub = waiting.looked_at if why == self.reader.EVERY and time.monotonic_ns() < ends_ns else None
            if in_hub is not None and not _needs_its_greenlet(in_hub, waiting.registered):
                looks += 1
                continue
            del self._waiting[slot]
            self._turns.soon(partial(waiting.waiter.switch, why))
        if looks and len(self._waiting) >= MANY:
            self._ready.stop()
            self._collect.again(self._wake)
        elif not self._ready.active:
            self._ready.start(self._wake)


def _needs_its_greenlet(exchange: Exchange, registered: Registered) -> bool:
    """Take what has arrived. Whether the exchange has ended, or has to be waited for in another way."""
    exchange.arrived(registered.take())
    return exchange.satisfied or exchange.sending or bool(exchange.tail)


def native_driver() -> NativeDriver | None:
    """The driver of this thread's hub; None where the native reader is not available."""
    hub: Any = gevent.get_hub()
    found: NativeDriver | None = getattr(hub, "streamgauge_native", None)
    if found is None and READER is not None:
        reader = READER(most_bytes=MOST_BYTES, most_stream_bytes=UNREAD_BYTES, nice=NICE)
        found = hub.streamgauge_native = NativeDriver(hub, turns(), reader)
    return found
