"""Whether a run kept its schedule, from hand-made totals."""

import msgspec
import pytest

from streamgauge.metrics.openloop import OpenLoop, judge_open_loop
from streamgauge.metrics.summary import Totals
from streamgauge.units import MS, SECOND
from tests.builders.made import made
from tests.builders.tapes import START_NS


def judged(
    planned: int, started: int, late: int = 0, max_streams: int | None = None, at_once: int = 0, late_ms: float = 0
) -> OpenLoop:
    """`at_once` streams of one second are open together; one more is due then, and starts `late_ms` late."""
    totals = Totals()
    for _ in range(at_once):
        totals.add(msgspec.structs.replace(made(1, closed_ms=1_000), intended_ns=START_NS))
    if late_ms:
        one_more = made(1, start_ms=500 + late_ms, closed_ms=1_000)
        totals.add(msgspec.structs.replace(one_more, intended_ns=START_NS + 500 * MS))
    totals.started, totals.late = started, late
    return judge_open_loop(totals, planned, 10 * SECOND, model="20/s, Poisson", max_streams=max_streams)


def test_a_schedule_that_was_kept_needs_no_word() -> None:
    found = judged(200, 200, max_streams=50)
    assert (found.dropped, found.closed, found.caveat) == (0, False, None)
    assert (found.planned_per_s, found.achieved_per_s) == (20, 20)


@pytest.mark.parametrize(("started", "late", "dropped"), [(200, 7, 0), (150, 0, 50), (150, 140, 50)])
def test_a_cap_that_decides_closes_the_loop(started: int, late: int, dropped: int) -> None:
    found = judged(200, started, late, max_streams=5, at_once=5, late_ms=500 if late else 0)
    assert found.closed
    assert (found.dropped, found.most_open) == (dropped, 5)
    assert f"5 streams were open, as many as --max-streams allows, and {late} of 200 arrivals" in (found.caveat or "")
    assert f"{dropped} never started" in (found.caveat or "")
    assert ("never started are in no latency" in (found.caveat or "")) is bool(dropped)


@pytest.mark.parametrize(("started", "late"), [(200, 7), (190, 0)])
def test_a_cap_that_was_never_reached_closes_nothing(started: int, late: int) -> None:
    """24 streams at once below a cap of 1,000: the client was late for another reason, and no message names the cap."""
    found = judged(200, started, late, max_streams=1_000, at_once=24, late_ms=50 if late else 0)
    assert not found.closed
    assert (found.most_open, found.held_back) == (24 + bool(late), 0)
    assert "The client did not keep its schedule" in (found.caveat or "")
    assert f"with {found.most_open} streams open at most" in (found.caveat or "")
    assert "1,000" not in (found.caveat or "")


def test_without_a_cap_the_client_is_to_blame() -> None:
    found = judged(200, 198, 3)
    assert not found.closed
    assert "The client did not keep its schedule" in (found.caveat or "")


def test_no_more_streams_start_than_were_due() -> None:
    found = judged(10, 12)
    assert (found.planned, found.started, found.dropped) == (12, 12, 0)
