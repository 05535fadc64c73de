"""The driver in pure Python: gevent's hub waits for many connections, and wakes a greenlet only when its exchange is
satisfied.

gevent's own way, a greenlet that waits for each read, costs two switches and a watcher's start and stop for every
token. A watcher that stays costs less. One epoll for all connections, emptied at most once in a millisecond, costs
least. Reading late does no harm where the kernel has stamped the arrival, except when two tokens of one stream wait in
the socket: then both get the stamp of the second. So each read tells since when its socket had been empty, and sockets
are emptied between any two pieces of other work (turns.py).
"""

import select
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import gevent
from gevent.hub import Hub, Waiter
from gevent.monkey import get_original

from streamgauge.scenarios.turns import Turns, turns
from streamgauge.transport.blocking import read_once
from streamgauge.transport.exchange import CONTENT_LOOK_S, Exchange

# With fewer responses than this, the hub wakes up for each read: a millisecond of collecting would save nothing.
MANY = 16
COLLECT_S = 0.001
# While exchanges wait, all sockets are looked at so often, also when nothing comes: each read then tells to these few
# milliseconds since when its socket was empty.
LOOK_S = 0.004

_epoll: Callable[[], Any] = get_original("select", "epoll")  # gevent's patching takes epoll out of the select module


class Watched(NamedTuple):
    """An exchange, and the greenlet that waits for it."""

    exchange: Exchange
    done: Waiter


class EpollDriver:
    """One epoll for all exchanges of a hub."""

    defers = True
    look_s = CONTENT_LOOK_S

    def __init__(self, hub: Hub, work: Turns) -> None:
        self._hub = hub
        self._turns = work
        self._epoll = _epoll()
        self._watched: dict[int, Watched] = {}
        self._readable = hub.loop.io(self._epoll.fileno(), 1)  # an epoll descriptor is readable when any of its own is
        self._timer = hub.loop.timer(COLLECT_S, COLLECT_S)
        self._readable.start(self._wake)
        self._look = hub.loop.timer(LOOK_S, LOOK_S)
        self._polled_ns = time.time_ns()  # when all sockets were looked at for the last time

    def drive(self, exchange: Exchange) -> None:
        """See `Driver`. The greenlet sleeps until the exchange is satisfied."""
        while exchange.sending and not exchange.satisfied:
            read_once(exchange)  # a request body that waits for flow control: the hub must not block in a send
        wait_s = exchange.check_time()
        if exchange.satisfied:
            return
        watched = Watched(exchange, Waiter(self._hub))
        timer = self._hub.loop.timer(wait_s or 0)

        # The callback is passed to itself: a closure over its own name would be a reference cycle, and the whole stream
        # would live until the next garbage collection. Such collections have stopped a load for 0.2 s at a time.
        def look_at_the_time(again: Callable[..., None]) -> None:
            nonlocal timer
            wait_s = exchange.check_time()
            if exchange.satisfied:
                watched.done.switch(None)
            elif wait_s is not None:
                timer.close()
                timer = self._hub.loop.timer(wait_s)
                timer.start(again, again)

        descriptor = exchange.connection.watched()
        self._watched[descriptor] = watched
        try:
            self._epoll.register(descriptor, select.EPOLLIN)
            if not self._look.active:
                self._look.again(self._collect)
            if wait_s is not None:
                timer.start(look_at_the_time, look_at_the_time)
            watched.done.get()
        finally:
            if self._watched.get(descriptor) is watched:
                self._forget(descriptor)
            timer.close()

    def _wake(self) -> None:
        self._readable.stop()
        if len(self._watched) < MANY:
            self._collect()
        else:
            self._timer.again(self._collect)

    def _collect(self) -> None:
        """Read once from each socket that has bytes; a greenlet whose exchange is satisfied gets its turn."""
        self._timer.stop()
        if not self._watched:
            self._look.stop()
        empty_ns, self._polled_ns = self._polled_ns, time.time_ns()
        try:
            for descriptor, _ in self._epoll.poll(0, len(self._watched) + 1):
                watched = self._watched.get(descriptor)
                if watched is not None and self._read(watched.exchange, empty_ns):
                    self._forget(descriptor)
                    self._turns.soon(partial(watched.done.switch, None))
        finally:
            self._readable.start(self._wake)

    def _read(self, exchange: Exchange, empty_ns: int) -> bool:
        """One read; returns whether the exchange is satisfied."""
        try:
            arrival = exchange.connection.poll(empty_ns)
        except OSError as error:
            exchange.broke(error)
            return True
        if arrival is not None:
            exchange.take(*arrival)
        if not exchange.satisfied and exchange.connection.closed_by_tls:
            exchange.closed(time.time_ns())  # TCP may stay open, and then nothing more would be readable
        return exchange.satisfied

    def _forget(self, descriptor: int) -> None:
        del self._watched[descriptor]
        with suppress(OSError):  # the kernel drops a closed descriptor from the epoll by itself
            self._epoll.unregister(descriptor)


def epoll_driver() -> EpollDriver:
    """The driver of this thread's hub."""
    hub: Any = gevent.get_hub()
    found: EpollDriver | None = getattr(hub, "streamgauge_epoll", None)
    if found is None:
        found = hub.streamgauge_epoll = EpollDriver(hub, turns())
    return found
