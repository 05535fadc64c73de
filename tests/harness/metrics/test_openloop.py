"""Whether a run kept its schedule, from hand-made totals."""

import pytest

from streamgauge.metrics.openloop import OpenLoop, judge_open_loop
from streamgauge.metrics.summary import Totals
from streamgauge.units import SECOND


def judged(planned: int, started: int, late: int = 0, max_streams: int | None = None) -> OpenLoop:
    totals = Totals()
    totals.started, totals.late = started, late
    return judge_open_loop(totals, planned, 10 * SECOND, model="20/s, Poisson", max_streams=max_streams)


def test_a_schedule_that_was_kept_needs_no_word() -> None:
    found = judged(200, 200, max_streams=50)
    assert (found.dropped, found.closed, found.caveat) == (0, False, None)
    assert (found.planned_per_s, found.achieved_per_s) == (20, 20)


@pytest.mark.parametrize(("started", "late", "dropped"), [(200, 7, 0), (150, 0, 50), (150, 140, 50)])
def test_a_cap_that_decides_closes_the_loop(started: int, late: int, dropped: int) -> None:
    found = judged(200, started, late, max_streams=5)
    assert found.closed
    assert found.dropped == dropped
    assert f"at most 5 streams open, {late} of 200 arrivals" in (found.caveat or "")
    assert f"{dropped} never started" in (found.caveat or "")


def test_without_a_cap_the_client_is_to_blame() -> None:
    found = judged(200, 198, 3)
    assert not found.closed
    assert "The client did not keep its schedule" in (found.caveat or "")


def test_no_more_streams_start_than_were_due() -> None:
    found = judged(10, 12)
    assert (found.planned, found.started, found.dropped) == (12, 12, 0)
