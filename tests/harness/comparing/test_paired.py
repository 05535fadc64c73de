"""The cost of a hop from pairs of streams: the interval holds the truth, and outliers do not move it."""

import itertools
import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.comparing.overhead import LimitVerdict, Pair, Sample, costs_of, parse_limit, verdict_on
from streamgauge.comparing.paired import LEAST_PAIRS, Cost, cost_of, order_matters, schedule
from streamgauge.errors import UsageError
from streamgauge.units import MS


@given(st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=40))
def test_the_cost_is_the_median_of_the_averages_of_all_pairs_of_differences(differences: list[int]) -> None:
    averages = [(one + other) / 2 for one, other in itertools.combinations_with_replacement(differences, 2)]
    assert cost_of(differences).point == median(averages)


def simulated(rng: random.Random, pairs: int, added_ms: float) -> list[Pair]:
    """A server whose level wanders and whose times have a Pareto tail (infinite variance); the hop adds a constant."""
    level, found = 0.0, []
    for direct_first in itertools.islice(schedule(rng), pairs):
        samples = {}
        for is_direct in (direct_first, not direct_first):
            level = 0.95 * level + rng.gauss(0, 1)
            took = 60 + level + rng.paretovariate(1.8) + (0 if is_direct else added_ms)
            samples[is_direct] = Sample(round(took * MS), 5 * MS, round((took + 100) * MS), 0, 20, reused=True)
        found.append(Pair(samples[True], samples[False], direct_first))
    return found


def test_3_ms_of_a_proxy_are_inside_the_interval_in_95_of_100_measurements() -> None:
    """962 of 1,000 at the last count."""
    inside = 0
    for seed in range(300):
        _, measured = costs_of(simulated(random.Random(seed), 60, 3.0))
        inside += measured["ttft"].low <= 3 * MS <= measured["ttft"].high
    assert inside >= 0.95 * 300


def test_a_server_that_becomes_slower_does_not_add_to_the_cost() -> None:
    """The time of a stream doubles during the measurement; pairs see only the hop."""
    rng = random.Random(2)
    differences = []
    for number, direct_first in enumerate(itertools.islice(schedule(rng), 100)):
        first, second = 100 + number, 100.5 + number
        direct, via = (first, second + 3) if direct_first else (second, first + 3)
        differences.append(round((via - direct + rng.gauss(0, 0.3)) * MS))
    cost = cost_of(differences)
    assert cost.low <= 3 * MS <= cost.high
    assert cost.half_width < 0.5 * MS


def test_the_orders_of_the_schedule_are_balanced_and_depend_on_the_seed() -> None:
    one, other = (list(itertools.islice(schedule(random.Random(seed)), 100)) for seed in (1, 2))
    assert sum(one) == sum(other) == 50
    assert one != other
    assert all(first != second for first, second in zip(one[::2], one[1::2], strict=True))


def test_too_few_pairs_have_no_interval() -> None:
    assert cost_of([MS] * (LEAST_PAIRS - 1)) == Cost(MS, -math.inf, math.inf)
    assert cost_of([MS] * LEAST_PAIRS) == Cost(MS, MS, MS)
    with pytest.raises(ValueError, match="no pair"):
        cost_of([])


def test_a_second_stream_that_is_slower_is_noticed_and_is_not_in_the_cost() -> None:
    rng = random.Random(3)
    orders = list(itertools.islice(schedule(rng), 60))
    differences = [round((3 + (5 if first else -5) + rng.gauss(0, 0.2)) * MS) for first in orders]
    assert order_matters(differences, orders)
    assert abs(cost_of(differences).point - 3 * MS) < 0.3 * MS
    assert not order_matters([round(rng.gauss(3, 1) * MS) for _ in orders], orders)


def test_a_cost_below_the_error_of_the_client_is_not_visible() -> None:
    pairs = [pair._replace(direct=pair.direct._replace(bound_ns=5 * MS), via=pair.via._replace(bound_ns=5 * MS))
             for pair in simulated(random.Random(1), 60, 3.0)]  # fmt: skip
    costs, _ = costs_of(pairs)
    assert not costs[0].visible
    assert costs_of(simulated(random.Random(1), 60, 3.0))[0][0].visible


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [("ttft > 1ms", LimitVerdict.ABOVE), ("ttft > 2.5ms", LimitVerdict.UNDECIDED), ("ttft > 5ms", LimitVerdict.WITHIN)],
)
def test_a_limit_is_decided_by_the_whole_interval(limit: str, verdict: LimitVerdict) -> None:
    assert verdict_on(parse_limit(limit), Cost(3 * MS, 2 * MS, 4 * MS)) is verdict
    assert verdict_on(parse_limit(limit), None) is LimitVerdict.UNDECIDED


@pytest.mark.parametrize("text", ["ttft < 5ms", "tpot > 5ms", "ttft p95 > 5ms", "ttft > 5%", "ttft > 5ms now"])
def test_what_is_no_limit_of_a_cost_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-on"):
        parse_limit(text)
