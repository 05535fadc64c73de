"""How long a read can have waited, by how late the loop ran around its time."""

import time

import gevent

from streamgauge.scenarios.loop_lag import Heartbeat
from streamgauge.units import MS, SECOND


def pause(seconds: float) -> int:
    """Block the loop, and let it run again; when it had been blocked so long (epoch ns)."""
    time.sleep(seconds)
    ended_ns = time.time_ns()
    gevent.sleep(0.02)
    return ended_ns


def beating(remembered: int = 4096) -> Heartbeat:
    beat = Heartbeat(None, remembered)
    gevent.sleep(0.02)
    return beat


def test_what_is_read_at_the_end_of_a_pause_can_have_waited_through_it_and_the_one_before() -> None:
    beat = beating()
    ended_ns = pause(0.2)

    assert beat.waited_ns(ended_ns) >= 2 * 190 * MS


def test_what_is_read_long_before_or_after_it_has_nothing_to_do_with_it() -> None:
    beat = beating()
    ended_ns = pause(0.5)
    gevent.sleep(1.5)

    assert beat.waited_ns(ended_ns - 10 * SECOND) == 0
    assert beat.waited_ns(time.time_ns()) < beat.waited_ns(ended_ns)


def test_a_pause_that_goes_on_counts_already() -> None:
    beat = beating()
    time.sleep(0.1)

    assert beat.waited_ns(time.time_ns()) >= 2 * 90 * MS


def test_what_is_forgotten_is_taken_for_its_longest() -> None:
    beat = beating(remembered=1)
    long_ns = pause(0.2)
    for _ in range(3):
        pause(0.03)

    assert beat.waited_ns(long_ns) >= 2 * 190 * MS
