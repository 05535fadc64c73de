"""The clock that nobody can set, and how far the machine's clock was set."""

import time

from streamgauge import steady
from streamgauge.units import MS


def test_it_shows_the_time_of_the_machine_while_nobody_sets_that() -> None:
    assert abs(steady.now_ns() - time.time_ns()) < 1_000 * MS
    assert steady.set_by_ns() == 0


def test_it_goes_forward_only() -> None:
    times = [steady.now_ns() for _ in range(1_000)]

    assert times == sorted(times)
