"""Waiting for many connections in gevent's hub, which wakes a greenlet only at the end of its response.

A greenlet that waits for each read is switched to and back, and its watcher is stopped and started, for every token.
A watcher that stays costs less; one epoll for all, emptied at most once in a millisecond, costs least (`make bench`).
What it reads late carries the kernel's stamp, so the figures do not see the delay.
"""

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.hub import Hub, Waiter
from gevent.monkey import get_original

# With fewer streams than this, each read is worth waking up for.
MANY = 16
COLLECT_S = 0.001

_epoll: Callable[[], Any] = get_original("select", "epoll")


def watch(descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
    """See `harness.transport.exchange.Watch`."""
    wait_s = tick()
    if wait_s is None:
        return
    hub = gevent.get_hub()
    collector = _collector(hub)
    done = Waiter(hub)
    timer = hub.loop.timer(wait_s)

    def time_is_up() -> None:
        nonlocal timer
        wait_s = tick()
        if wait_s is None:
            done.switch(None)
            return
        timer.close()
        timer = hub.loop.timer(wait_s)
        timer.start(time_is_up)

    collector.add(descriptor, take, lambda: done.switch(None))
    timer.start(time_is_up)
    try:
        done.get()
    finally:
        collector.remove(descriptor)
        timer.close()


class Collector:
    """One epoll for all responses of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._epoll = _epoll()
        self._takes: dict[int, tuple[Callable[[], bool], Callable[[], None]]] = {}
        self._readable = hub.loop.io(self._epoll.fileno(), 1)
        self._timer = hub.loop.timer(COLLECT_S, COLLECT_S)
        self._readable.start(self._wake)

    def add(self, descriptor: int, take: Callable[[], bool], done: Callable[[], None]) -> None:
        """Call `take` while there is something to read, and `done` once it has returned False."""
        self._takes[descriptor] = take, done
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Forget it; one that has been closed is forgotten by the kernel."""
        del self._takes[descriptor]
        with suppress(OSError):
            self._epoll.unregister(descriptor)

    def _wake(self) -> None:
        if len(self._takes) < MANY:
            self._collect()
        else:
            self._readable.stop()
            self._timer.again(self._collect_and_wait)

    def _collect_and_wait(self) -> None:
        self._timer.stop()
        self._readable.start(self._wake)
        self._collect()

    def _collect(self) -> None:
        takes = self._takes
        for descriptor, _ in self._epoll.poll(0):
            found = takes.get(descriptor)
            if found is not None and not found[0]():
                found[1]()


def _collector(hub: Hub) -> Collector:
    found: Collector | None = getattr(hub, "streamgauge_collector", None)
    if found is None:
        found = hub.streamgauge_collector = Collector(hub)
    return found
