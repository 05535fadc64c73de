"""How long a read can have waited, by how late the loop ran around its time."""

import time

import gevent

from streamgauge.scenarios.loop_lag import LoopLag
from streamgauge.units import MS, SECOND


def pause(seconds: float) -> int:
    """Block the loop, and let it run again; returns when the block ended (epoch ns)."""
    time.sleep(seconds)
    ended_ns = time.time_ns()
    gevent.sleep(0.02)
    return ended_ns


def measuring(remembered: int = 4096) -> LoopLag:
    lag = LoopLag(None, remembered)
    gevent.sleep(0.02)
    return lag


def test_a_read_at_the_end_of_a_pause_may_have_waited_through_it_and_the_pause_before() -> None:
    lag = measuring()
    ended_ns = pause(0.2)

    assert lag.waited_ns(ended_ns) >= 2 * 190 * MS


def test_a_read_long_before_or_after_a_pause_did_not_wait_for_it() -> None:
    lag = measuring()
    ended_ns = pause(0.5)
    gevent.sleep(1.5)

    assert lag.waited_ns(ended_ns - 10 * SECOND) == 0
    assert lag.waited_ns(time.time_ns()) < lag.waited_ns(ended_ns)


def test_a_pause_that_goes_on_counts_already() -> None:
    lag = measuring()
    time.sleep(0.1)

    assert lag.waited_ns(time.time_ns()) >= 2 * 90 * MS


def test_a_forgotten_pause_counts_as_the_longest_of_them() -> None:
    lag = measuring(remembered=1)
    long_ns = pause(0.2)
    for _ in range(3):
        pause(0.03)

    assert lag.waited_ns(long_ns) >= 2 * 190 * MS
