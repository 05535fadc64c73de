"""Waiting for many connections in gevent's hub, which wakes a greenlet only at the end of its response.

A greenlet that waits for each read is switched to and back, and its watcher is stopped and started, for every token.
A watcher that stays costs less; one epoll for all, emptied at most once in a millisecond, costs least (`make bench`).
What it reads late carries the kernel's stamp, so the figures do not see the delay, unless two tokens of a stream wait:
then both get the stamp of the second. So reads go before what greenlets do with a finished response.
"""

import select
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import gevent
from gevent.hub import Hub, Waiter
from gevent.monkey import get_original

# With fewer streams than this, each read is worth waking up for.
MANY = 16
COLLECT_S = 0.001
# What a greenlet does with its finished response takes about as long, and waits for a start that is due sooner, unless
# there are so many of them that they would not get their turn.
GUARD_NS = 1_000_000
MOST_WAITING = 16

_epoll: Callable[[], Any] = get_original("select", "epoll")


def watch(descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
    """See `streamgauge.transport.exchange.Watch`."""
    wait_s = tick()
    if wait_s is None:
        return
    hub = gevent.get_hub()
    collector = _collector(hub)
    done = Waiter(hub)
    timer = hub.loop.timer(wait_s)

    # It gets itself as an argument: naming itself it would be a cycle, which keeps the whole stream until a collection.
    def time_is_up(again: Callable[..., None]) -> None:
        nonlocal timer
        wait_s = tick()
        if wait_s is None:
            done.switch(None)
            return
        timer.close()
        timer = hub.loop.timer(wait_s)
        timer.start(again, again)

    waiting = Waiting(take, done)
    collector.add(descriptor, waiting)
    timer.start(time_is_up, time_is_up)
    try:
        done.get()
    finally:
        collector.remove(descriptor, waiting)
        timer.close()


def expect(start_ns: int | None) -> None:
    """Something is to start then (epoch ns), and on time: what can wait is not begun just before it."""
    _collector(gevent.get_hub()).expected_ns = start_ns


def looked_before(taken_ns: int) -> int | None:
    """When all sockets were looked at for the last time before the look that took a read at that time (epoch ns)."""
    return _collector(gevent.get_hub()).looks.before(taken_ns)


class PollTimes:
    """When the sockets were looked at: what was not in a socket then came later."""

    def __init__(self, remembered: int = 100_000) -> None:  # a minute and a half, where there is always something
        self._remembered = remembered
        self._at_ns: list[int] = []

    def add(self, at_ns: int) -> None:
        """One more look."""
        self._at_ns.append(at_ns)
        if len(self._at_ns) > 2 * self._remembered:
            del self._at_ns[: -self._remembered]

    def before(self, taken_ns: int) -> int | None:
        """The last but one before that time; None when it is not remembered."""
        index = bisect_right(self._at_ns, taken_ns) - 2
        return self._at_ns[index] if index >= 0 else None


class Waiting(NamedTuple):
    """One response, and the greenlet that waits for its end."""

    take: Callable[[], bool]
    done: Waiter


class Collector:
    """One epoll for all responses of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._epoll = _epoll()
        self._waiting: dict[int, Waiting] = {}
        self._finished: deque[Waiting] = deque()
        self._loop = hub.loop
        self._readable = hub.loop.io(self._epoll.fileno(), 1)
        self._timer = hub.loop.timer(COLLECT_S, COLLECT_S)
        self._readable.start(self._wake)
        self.expected_ns: int | None = None
        self.looks = PollTimes()

    def add(self, descriptor: int, waiting: Waiting) -> None:
        """Call `take` while there is something to read, and wake its greenlet once that has returned False."""
        self._waiting[descriptor] = waiting
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int, waiting: Waiting) -> None:
        """Forget it, however far it got."""
        if self._waiting.get(descriptor) is waiting:
            self._forget(descriptor)
        elif waiting in self._finished:
            self._finished.remove(waiting)

    def _wake(self) -> None:
        self._readable.stop()
        if len(self._waiting) < MANY:
            self._collect()
        else:
            self._timer.again(self._collect)

    def _collect(self) -> None:
        self._timer.stop()
        self.looks.add(time.time_ns())
        try:
            for descriptor, _ in self._epoll.poll(0):
                waiting = self._waiting.get(descriptor)
                if waiting is not None and not waiting.take():
                    self._forget(descriptor)
                    self._finished.append(waiting)
            if self._finished and not self._held:
                # One at a time: it decodes a stream and asks for the next one, and meanwhile nothing is read.
                self._finished.popleft().done.switch(None)
        finally:
            if not self._finished:
                self._readable.start(self._wake)
            elif self._held:
                self._timer.again(self._collect)
            else:
                self._loop.run_callback(self._collect)

    @property
    def _held(self) -> bool:
        expected_ns = self.expected_ns
        return (
            expected_ns is not None and len(self._finished) <= MOST_WAITING and expected_ns - time.time_ns() < GUARD_NS
        )

    def _forget(self, descriptor: int) -> None:
        del self._waiting[descriptor]
        with suppress(OSError):  # one that has been closed is forgotten already
            self._epoll.unregister(descriptor)


def _collector(hub: Hub) -> Collector:
    found: Collector | None = getattr(hub, "streamgauge_collector", None)
    if found is None:
        found = hub.streamgauge_collector = Collector(hub)
    return found
