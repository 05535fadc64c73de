"""The driver over the native reader: its thread takes the bytes, and wakes gevent's hub only when there is work.

A response is looked at when its first bytes are there, and then at its end. In between its tokens cost this process no
Python at all.
"""

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.hub import Hub, Waiter

from streamgauge.scenarios.turns import Turns, turns
from streamgauge.transport.connection import Arrived, Connection
from streamgauge.transport.exchange import MOST_STORED_BYTES, TICK_S, Exchange
from streamgauge.transport.native import READER
from streamgauge.units import MIB, SECOND
from streamgauge.wire import Arrivals

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader

MOST_BYTES: Final = 1024 * MIB
"""Of all streams together. Above this the thread reads nothing until some bytes are taken; the run counts it."""
MOST_STREAM_BYTES: Final = 2 * MOST_STORED_BYTES
LEAST_SEND_S: Final = 0.001
"""A send gets this long even when the limit of silence is over."""
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


class NativeDriver:
    """One reading thread for all exchanges of a hub."""

    defers = True

    def __init__(self, hub: Hub, work: Turns, reader: "Reader") -> None:
        self._hub = hub
        self._turns = work
        self.reader = reader
        self._waiting: dict[int, Waiter] = {}  # by slot
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
            why = self._wait(registered.slot, exchange, ticked=ticked)
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
        waiter = self._waiting[slot] = Waiter(self._hub)
        try:
            self.reader.arm(slot, self.reader.FIRST)
            waiter.get()
        finally:
            if self._waiting.get(slot) is waiter:
                del self._waiting[slot]

    def _wait(self, slot: int, exchange: Exchange, *, ticked: bool) -> int:
        """Arm the slot and sleep; returns the reasons of the wake-up. `ticked`: a tick of silence has passed."""
        reader = self.reader
        silence_s = exchange.silence_left_s
        if not ticked:
            silence_s = TICK_S if silence_s is None else min(TICK_S, silence_s)
        ends_s = exchange.ends_s
        wake = reader.EVERY
        if exchange.tail:
            # The first byte after a tick wakes too, because from there the next silence has to be noticed.
            wake = reader.TAIL | reader.SIZE | (reader.FIRST if ticked else 0)
        waiter = self._waiting[slot] = Waiter(self._hub)
        try:
            reader.arm(
                slot,
                wake,
                size=MOST_STORED_BYTES,
                tail=exchange.tail,
                deadline_ns=0 if ends_s is None else int(ends_s * SECOND),
                silence_ns=0 if silence_s is None else max(int(silence_s * SECOND), 1),
            )
            why = waiter.get()
            assert isinstance(why, int)
            return why
        finally:
            if self._waiting.get(slot) is waiter:
                del self._waiting[slot]
                reader.disarm(slot)

    def _wake(self) -> None:
        for slot, why in self.reader.ready():
            waiter = self._waiting.pop(slot, None)
            if waiter is not None:
                self._turns.soon(partial(waiter.switch, why))


def native_driver() -> NativeDriver | None:
    """The driver of this thread's hub; None where the native reader is not available."""
    hub: Any = gevent.get_hub()
    found: NativeDriver | None = getattr(hub, "streamgauge_native", None)
    if found is None and READER is not None:
        reader = READER(most_bytes=MOST_BYTES, most_stream_bytes=MOST_STREAM_BYTES, nice=NICE)
        found = hub.streamgauge_native = NativeDriver(hub, turns(), reader)
    return found
