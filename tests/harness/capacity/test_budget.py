"""What the next point can use, and the limits of a search."""

import pytest

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.budget import Budget, Price, Spent, affordable, estimate, exceeded, spent
from streamgauge.capacity.point import Observation, Point, Verdict
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search, SearchPlan
from tests.harness.capacity.points import point


def probe(load: float, axis: Axis = Axis.USERS) -> Probe:
    return Probe(axis=axis, load=load, seconds=9, warmup_s=1, seed=1, purpose=Purpose.DOUBLE)


NEAR = Point(
    probe=probe(4),
    observation=Observation(seconds=9, requests=40, prompt_tokens=400, output_tokens=4_000, took_s=12.5),
    verdict=Verdict.PASS,
    reason="",
)


def test_the_next_point_is_estimated_from_the_nearest_one() -> None:
    coming = estimate(probe(8), NEAR)

    assert (coming.seconds, coming.requests, coming.prompt_tokens, coming.output_tokens) == (14, 80, 800, 8_000)
    assert estimate(probe(2), NEAR).requests == 40  # fewer users can be as fast together
    assert estimate(probe(3, Axis.RATE), NEAR).requests == 30
    assert estimate(probe(1), None) == Spent(seconds=14)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"seconds": 20}, "--budget 20s"),
        ({"seconds": 1e9, "requests": 100}, "--max-requests 100 (40 are used)"),
        ({"seconds": 1e9, "tokens": 10_000}, "--max-total-tokens 10,000 (4,400 are used)"),
        ({"seconds": 1e9, "cost": 0.01, "price": Price(0.0, 1.0)}, "--max-cost 0.01 (0.00 are used)"),
    ],
)
def test_a_search_stops_before_the_point_that_could_exceed_a_limit(limits: dict, says: str) -> None:
    used = spent([NEAR])
    reason = exceeded(Budget(**limits), used, estimate(probe(8), NEAR))

    assert used.seconds == 12.5
    assert reason is not None
    assert says in reason
    assert exceeded(Budget(seconds=1e9), used, estimate(probe(8), NEAR)) is None


def test_what_a_point_takes_besides_its_load_is_learned_from_the_points_so_far() -> None:
    """On a busy machine Locust alone starts for 10 s, so 8 more points of 10 s do not fit into 100 s."""
    search = Search(SearchPlan(seconds=10, needed=1))
    budget = Budget(seconds=100)
    while (probe := affordable(search, budget)) is not None:
        search.take(point(probe, Verdict.PASS, took_s=probe.warmup_s + probe.seconds + 13.0))

    assert spent(search.points).seconds <= 100
    assert "would exceed --budget 100s" in (search.stopped or "")
