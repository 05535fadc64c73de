"""Tasks in threads that nobody waits for: results in order, errors at once, and no more at a time than asked for."""

import threading

import pytest

from streamgauge.conformance.daemon_threads import results, start

PATIENCE_S = 20


def test_tasks_run_at_the_same_time_and_their_results_come_in_order() -> None:
    """Each waits for the other, so one after the other they would never end."""
    met = threading.Barrier(2, timeout=PATIENCE_S)

    def task(name: str) -> str:
        met.wait()
        return name

    assert results(start([lambda: task("first"), lambda: task("second")])) == ["first", "second"]


def test_an_error_is_raised_at_once() -> None:
    never = threading.Event()

    def broken() -> str:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        results(start([lambda: str(never.wait(60)), broken]))
    never.set()


def test_no_more_tasks_run_at_a_time_than_asked_for() -> None:
    running, most = threading.Semaphore(2), []

    def task() -> None:
        most.append(running.acquire(blocking=False))
        threading.Event().wait(0.01)
        running.release()

    results(start([task] * 6, at_once=2))

    assert most == [True] * 6


def test_no_tasks_have_no_results() -> None:
    assert results(start([])) == []
