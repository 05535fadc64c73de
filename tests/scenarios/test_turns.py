"""Work in gevent's hub: its order, its bounds, the guard before a start, and errors. Nothing is monkey-patched here."""

import io
import time
from collections.abc import Callable
from functools import partial

import gevent
import pytest

from streamgauge.scenarios.turns import GUARD_NS, MOST_LATER, MOST_LATER_BYTES, MOST_LATER_NS, MOST_SOON, Turns
from streamgauge.units import MS, SECOND

PATIENCE_S = 20.0
A_WHILE_S = 0.02  # in which work that must wait would have been done


@pytest.fixture
def work() -> Turns:
    return Turns(gevent.get_hub())


def until(condition: Callable[[], bool]) -> None:
    """Let the hub work until this holds."""
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_s
        gevent.sleep(0.0001)


def test_greenlets_are_woken_before_streams_are_recorded_and_each_in_its_order(work: Turns) -> None:
    done: list[str] = []
    work.later(partial(done.append, "later 1"), 1)
    work.later(partial(done.append, "later 2"), 1)
    work.soon(partial(done.append, "soon 1"))
    work.soon(partial(done.append, "soon 2"))
    until(lambda: len(done) == 4)
    assert done == ["soon 1", "soon 2", "later 1", "later 2"]


def test_sockets_get_their_turn_between_two_pieces_of_work(work: Turns) -> None:
    done: list[str] = []
    for number in range(3):
        work.soon(partial(done.append, f"work {number}"))
    watcher = gevent.get_hub().loop.async_()
    watcher.start(lambda: done.append("socket"))
    watcher.send()
    until(lambda: len(done) == 4)
    assert done.index("socket") < 3
    watcher.close()


def test_work_may_make_more_work(work: Turns) -> None:
    done: list[str] = []
    work.soon(lambda: work.later(lambda: work.soon(partial(done.append, "last")), 1))
    until(lambda: done == ["last"])


def test_no_work_begins_just_before_a_start(work: Turns) -> None:
    done: list[str] = []
    work.announce_start(time.time_ns() + GUARD_NS // 2)
    work.soon(partial(done.append, "soon"))
    work.later(partial(done.append, "later"), 1)
    gevent.sleep(A_WHILE_S)
    assert done == []
    work.announce_start(None)
    until(lambda: len(done) == 2)


def test_after_the_start_work_goes_on_at_once(work: Turns) -> None:
    """With a start every 2 ms, a guard that lasted a millisecond longer would take half of the time."""
    done: list[str] = []
    work.announce_start(time.time_ns())
    work.soon(partial(done.append, "soon"))
    gevent.sleep(0.0001)
    assert done == []
    work.announce_start(None)
    timer = gevent.get_hub().loop.timer(0.0003)
    timer.start(lambda: done.append("0.3 ms later"))
    until(lambda: len(done) == 2)
    assert done == ["soon", "0.3 ms later"]
    timer.close()


def test_work_goes_on_while_the_start_is_far(work: Turns) -> None:
    done: list[str] = []
    work.announce_start(time.time_ns() + 100 * SECOND)
    work.later(partial(done.append, "later"), 1)
    until(lambda: done == ["later"])
    work.announce_start(None)


def test_many_greenlets_do_not_wait_for_a_start(work: Turns) -> None:
    """Starts that follow each other closely must not keep streams from their end."""
    done: list[int] = []
    work.announce_start(time.time_ns())
    for number in range(MOST_SOON + 1):
        work.soon(partial(done.append, number))
    until(lambda: done == [0])
    gevent.sleep(A_WHILE_S)
    assert done == [0]
    work.announce_start(None)
    until(lambda: len(done) == MOST_SOON + 1)


@pytest.mark.parametrize(
    ("count", "size"), [(MOST_LATER, 1), (2, MOST_LATER_BYTES // 2)], ids=["by number", "by bytes"]
)
def test_users_wait_while_too_many_streams_are_to_be_recorded(work: Turns, count: int, size: int) -> None:
    done: list[str] = []
    for _ in range(count):
        work.later(partial(done.append, "later"), size)
    work.soon(partial(done.append, "soon"))
    until(lambda: len(done) == count + 1)
    assert done[:2] == ["later", "soon"]
    assert work.held == 1


def test_users_wait_while_the_streams_to_record_would_take_too_long(work: Turns) -> None:
    """A small compressed body can take 0.3 s: users who go on at once would leave minutes of work for the end."""
    done: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        done.append("recorded")

    work.later(slow, 1)
    until(lambda: len(done) == 1)
    for _ in range(2 * MOST_LATER_NS // (50 * MS)):
        work.later(slow, 1)
    work.soon(partial(done.append, "woken"))
    until(lambda: "woken" in done)
    assert work.held > 0
    assert done.index("woken") > 20


def test_below_the_bounds_nobody_waits(work: Turns) -> None:
    done: list[str] = []
    for _ in range(MOST_LATER - 1):
        work.later(partial(done.append, "later"), 1)
    work.soon(partial(done.append, "soon"))
    until(lambda: "soon" in done)
    assert (done[0], work.held) == ("soon", 0)
    work.finish()


def test_finish_records_all_at_once(work: Turns) -> None:
    done: list[int] = []
    for number in range(5):
        work.later(partial(done.append, number), 1)
    work.finish()
    assert done == [0, 1, 2, 3, 4]


def test_after_finish_the_hub_has_nothing_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", printed)
    work = Turns(gevent.get_hub())
    work.later(list, 1)
    work.finish()
    gevent.sleep(A_WHILE_S)
    assert printed.getvalue() == ""


def test_how_long_streams_waited_is_counted(work: Turns) -> None:
    for _ in range(3):
        work.later(partial(time.sleep, 0.002), 1)
    work.finish()
    behind = work.behind
    assert behind.zeros + sum(behind.buckets.values()) == 3
    assert (behind.maximum or 0) >= 4_000_000


def test_an_error_is_printed_and_stops_no_other_work(work: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, done = io.StringIO(), list[str]()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", printed)
    work.soon(partial(int, "no number"))
    work.later(partial(int, "no figure"), 1)
    work.soon(partial(done.append, "soon"))
    work.later(partial(done.append, "later"), 1)
    until(lambda: done == ["soon", "later"])
    assert "no number" in printed.getvalue()
    assert "no figure" in printed.getvalue()


def test_an_error_does_not_stop_finish(work: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, done = io.StringIO(), list[str]()
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", printed)
    work.later(partial(int, "no figure"), 1)
    work.later(partial(done.append, "later"), 1)
    work.finish()
    assert done == ["later"]
    assert "no figure" in printed.getvalue()
