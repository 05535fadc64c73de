"""A stop of the process and a step of its clock are noticed, and nothing else is taken for one."""

import pytest

from streamgauge.rundir.vitals import Vitals, Watch
from streamgauge.units import MS, SECOND

EPOCH = 1_800_000_000 * SECOND


def beats(*at: tuple[float, float]) -> Vitals:
    """The vitals after beats at these monotonic times and epoch offsets, both in seconds."""
    watch = Watch()
    for mono_s, offset_s in at:
        now = int(mono_s * SECOND)
        watch.beat(now, EPOCH + now + int(offset_s * SECOND), now + 1_000)
    return watch.vitals


def test_a_process_that_goes_on_has_no_stop_and_no_step() -> None:
    assert beats(*((tick / 10, 0) for tick in range(50))) == Vitals()


def test_two_stops_are_added_up() -> None:
    assert beats((0, 0), (0.1, 0), (10.1, 0), (10.2, 0), (15.2, 0)) == Vitals(stopped_ns=15 * SECOND)


def test_a_busy_second_is_not_a_stop() -> None:
    assert beats((0, 0), (2.5, 0)) == Vitals()


@pytest.mark.parametrize("by_s", [-5.0, 7.0, 0.002])
def test_a_clock_that_is_set_is_told_by_how_much(by_s: float) -> None:
    assert beats((0, 0), (0.1, 0), (0.2, by_s), (0.3, by_s)).stepped_ns == pytest.approx(by_s * SECOND, abs=1_000)


def test_a_step_is_told_although_the_thread_waits_at_every_look() -> None:
    watch = Watch()
    for tick in range(20):
        now = tick * SECOND
        watch.beat(now, EPOCH + now + 100 * MS - (5 * SECOND if tick > 9 else 0), now + 200 * MS)
    assert watch.vitals.stepped_ns == pytest.approx(-5 * SECOND, abs=200 * MS)


def test_clocks_that_were_not_read_together_tell_nothing() -> None:
    watch = Watch()
    watch.beat(0, EPOCH, 1_000)
    assert not watch.beat(100 * MS, EPOCH + 400 * MS, 400 * MS), "the process waited for a core between both clocks"
    assert not watch.beat(500 * MS, EPOCH + 500 * MS, 500 * MS)


def test_each_change_is_told_once() -> None:
    watch = Watch()
    assert not watch.beat(0, EPOCH, 0)
    assert watch.beat(100 * MS, EPOCH, 100 * MS)
    assert not watch.beat(200 * MS, EPOCH + 100 * MS, 200 * MS)
