"""Waiting for many connections in gevent's hub, which wakes a greenlet only at the end of its response.

gevent's own way, a greenlet that waits for each read, costs two switches and a watcher's start and stop for every
token. A watcher that stays costs less. One epoll for all connections, emptied at most once in a millisecond, costs
least (`make bench`). Reading late does no harm where the kernel has stamped the arrival, except when two tokens of one
stream wait in the socket: then both get the stamp of the second. So sockets are emptied before any greenlet decodes its
finished response.
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

# With fewer responses than this, the hub wakes up for each read: a millisecond of collecting would save nothing.
MANY = 16
COLLECT_S = 0.001
# To decode a finished response and to send the next request takes a greenlet about a millisecond. So no greenlet is
# woken within that time before an arrival of the open loop, which would start late. When more than MOST_FINISHED wait,
# one is woken all the same: with an arrival every millisecond they would never get their turn.
GUARD_NS = 1_000_000
MOST_FINISHED = 16

_epoll: Callable[[], Any] = get_original("select", "epoll")  # gevent's patching takes epoll out of the select module


def watch(descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
    """See `streamgauge.transport.exchange.Watch`."""
    wait_s = tick()
    if wait_s is None:
        return
    hub = gevent.get_hub()
    collector = _collector(hub)
    done = Waiter(hub)
    timer = hub.loop.timer(wait_s)

    # The callback is passed to itself: a closure over its own name would be a reference cycle, and the whole stream
    # would live until the next garbage collection. Such collections have stopped a load for 0.2 s at a time.
    def tick_is_due(again: Callable[..., None]) -> None:
        nonlocal timer
        wait_s = tick()
        if wait_s is None:
            done.switch(None)
            return
        timer.close()
        timer = hub.loop.timer(wait_s)
        timer.start(again, again)

    response = WatchedResponse(take, done)
    collector.add(descriptor, response)
    timer.start(tick_is_due, tick_is_due)
    try:
        done.get()
    finally:
        collector.remove(descriptor, response)
        timer.close()


def announce_start(start_ns: int | None) -> None:
    """Wake no greenlet just before `start_ns` (epoch ns), because a stream must start then. None cancels this."""
    _collector(gevent.get_hub()).next_start_ns = start_ns


def polled_before(taken_ns: int) -> int | None:
    """When all sockets were polled for the last time before the poll that took a read at `taken_ns` (epoch ns).

    Bytes that the later poll found arrived after the earlier poll. None when the earlier poll is not remembered.
    """
    return _collector(gevent.get_hub()).poll_times.before(taken_ns)


class PollTimes:
    """The times (epoch ns) at which all sockets were polled. 100,000 polls are at least 100 s."""

    def __init__(self, remembered: int = 100_000) -> None:
        self._remembered = remembered
        self._at_ns: list[int] = []

    def add(self, at_ns: int) -> None:
        """Remember one more poll. The list is cut only when it is twice as long, so that cutting is rare."""
        self._at_ns.append(at_ns)
        if len(self._at_ns) > 2 * self._remembered:
            del self._at_ns[: -self._remembered]

    def before(self, taken_ns: int) -> int | None:
        """The last poll but one before that time; None when it is not remembered."""
        index = bisect_right(self._at_ns, taken_ns) - 2
        return self._at_ns[index] if index >= 0 else None


class WatchedResponse(NamedTuple):
    """A response, and the greenlet that waits for its end."""

    take: Callable[[], bool]
    done: Waiter


class Collector:
    """One epoll for all responses of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._epoll = _epoll()
        self._watched: dict[int, WatchedResponse] = {}
        self._finished: deque[WatchedResponse] = deque()
        self._loop = hub.loop
        self._readable = hub.loop.io(self._epoll.fileno(), 1)  # an epoll descriptor is readable when any of its own is
        self._timer = hub.loop.timer(COLLECT_S, COLLECT_S)
        self._readable.start(self._wake)
        self.next_start_ns: int | None = None
        self.poll_times = PollTimes()

    def add(self, descriptor: int, response: WatchedResponse) -> None:
        """Call `take` while there is something to read, and wake the greenlet when `take` has returned False."""
        self._watched[descriptor] = response
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int, response: WatchedResponse) -> None:
        """Forget a response, whether it has finished or not."""
        if self._watched.get(descriptor) is response:
            self._forget(descriptor)
        elif response in self._finished:
            self._finished.remove(response)

    def _wake(self) -> None:
        self._readable.stop()
        if len(self._watched) < MANY:
            self._collect()
        else:
            self._timer.again(self._collect)

    def _collect(self) -> None:
        """Empty all sockets, then wake at most one greenlet whose response has finished."""
        self._timer.stop()
        self.poll_times.add(time.time_ns())
        try:
            for descriptor, _ in self._epoll.poll(0):
                response = self._watched.get(descriptor)
                if response is not None and not response.take():
                    self._forget(descriptor)
                    self._finished.append(response)
            if self._finished and not self._start_is_near:
                # One at a time: nothing is read while it decodes its stream and sends its next request.
                self._finished.popleft().done.switch(None)
        finally:
            if not self._finished:
                self._readable.start(self._wake)
            elif self._start_is_near:
                self._timer.again(self._collect)
            else:
                self._loop.run_callback(self._collect)

    @property
    def _start_is_near(self) -> bool:
        """Whether finished responses have to wait for the start of a stream."""
        start_ns = self.next_start_ns
        return start_ns is not None and len(self._finished) <= MOST_FINISHED and start_ns - time.time_ns() < GUARD_NS

    def _forget(self, descriptor: int) -> None:
        del self._watched[descriptor]
        with suppress(OSError):  # the kernel drops a closed descriptor from the epoll by itself
            self._epoll.unregister(descriptor)


def _collector(hub: Hub) -> Collector:
    found: Collector | None = getattr(hub, "streamgauge_collector", None)
    if found is None:
        found = hub.streamgauge_collector = Collector(hub)
    return found
