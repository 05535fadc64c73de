"""Waiting for many connections in gevent's hub: one watcher per response, and a greenlet is woken only at its end.

A greenlet that waits for each read is switched to and back, and has its watcher stopped and started, for every token.
"""

from collections.abc import Callable

import gevent
from gevent.hub import Waiter


def watch(descriptor: int, take: Callable[[], bool], tick: Callable[[], float | None]) -> None:
    """See `harness.transport.exchange.Watch`."""
    wait_s = tick()
    if wait_s is None:
        return
    hub = gevent.get_hub()
    done = Waiter(hub)
    readable, timer = hub.loop.io(descriptor, 1), hub.loop.timer(wait_s)

    def read() -> None:
        if not take():
            stop()

    def time_is_up() -> None:
        wait_s = tick()
        if wait_s is None:
            stop()
        else:
            timer.close()
            start_timer(wait_s)

    def start_timer(wait_s: float) -> None:
        nonlocal timer
        timer = hub.loop.timer(wait_s)
        timer.start(time_is_up)

    def stop() -> None:
        readable.stop()
        timer.stop()
        done.switch(None)

    readable.start(read)
    timer.start(time_is_up)
    try:
        done.get()
    finally:
        readable.stop()
        readable.close()
        timer.stop()
        timer.close()
