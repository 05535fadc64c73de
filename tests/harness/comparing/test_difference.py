"""Intervals of differences keep what they promise, in simulated runs with heavy tails and time correlation."""

import math
import random
from statistics import NormalDist

import pytest

from streamgauge.comparing.bootstrap import Estimate, estimate
from streamgauge.comparing.change import Change
from streamgauge.comparing.difference import Difference, difference, round_up
from streamgauge.comparing.verdict import Finding, Floor, RuleVerdict, find, judge
from streamgauge.metrics.intervals import student
from tests.builders.compared import column, ttfts

NO_FLOOR = Floor()
PAIRS = 200


def compared(rng: random.Random, count: int, statistic: str, *, factor: float = 1.0, memory: float = 20) -> Difference:
    sides = (column(ttfts(rng, count, factor=by, memory=memory)) for by in (1.0, factor))
    return difference(*(estimate([side], statistic, rng, 120) for side in sides))


def test_the_same_target_twice_gives_at_most_5_percent_false_alarms_in_200_pairs() -> None:
    """Half of the pairs by the median, half by p95. An alarm is a difference for the worse."""
    found = []
    for seed in range(PAIRS):
        rng = random.Random(seed)
        found.append(find(compared(rng, 600, "p50" if seed % 2 else "p95"), NO_FLOOR, higher_is_better=False))
    assert found.count(Finding.WORSE) <= 0.05 * PAIRS
    assert found.count(Finding.NONE_VISIBLE) > 0.9 * PAIRS


def test_a_shift_of_5_percent_is_found_in_95_percent_at_the_length_that_the_comparison_asks_for() -> None:
    """A first comparison of 300 streams says how many it needs; that many show a true shift."""
    found, asked = 0, []
    for seed in range(60):
        rng = random.Random(1_000 + seed)
        needed = compared(rng, 300, "p50", memory=2).needed(300, 0.05)
        assert needed is not None
        asked.append(needed)
        shifted = compared(rng, needed, "p50", factor=1.05, memory=2)
        found += find(shifted, NO_FLOOR, higher_is_better=False) is Finding.WORSE
    assert found >= 0.95 * 60
    assert sorted(asked)[30] < 2_000, "it asks for a length that people can run"


def test_three_runs_a_side_hold_what_differs_between_starts_of_the_same_server() -> None:
    """Each run has a level of its own. One run a side mistakes it for a difference; three do not."""
    alarms = {1: 0, 3: 0}
    for seed in range(30):
        for count in alarms:
            rng = random.Random(seed)
            sides = [
                [column(ttfts(rng, 150, factor=math.exp(rng.gauss(0, 0.05)), memory=1)) for _ in range(count)]
                for _ in range(2)
            ]
            found = difference(*(estimate(runs, "p50", rng, 100) for runs in sides))
            alarms[count] += found.relative is not None and found.relative.excludes(0)
    assert alarms[1] > 10
    assert alarms[3] <= 3


def test_the_interval_of_the_absolute_difference_agrees_with_the_relative_one() -> None:
    found = compared(random.Random(5), 400, "p50", factor=1.2)
    assert found.relative is not None
    assert 0.1 < found.relative.low < found.relative.point < found.relative.high < 0.3
    assert found.absolute.low > 0
    assert found.noise is not None
    assert 0 < found.noise < 0.1


def test_figures_of_0_have_no_relative_difference() -> None:
    zero = estimate([column([0.0] * 100)], "p50", random.Random(1), 50)
    found = difference(zero, zero)
    assert found.relative is None
    assert found.absolute == (0, 0, 0)
    assert found.needed(100, 0.05) is None


def test_waits_that_never_ended_leave_the_difference_open() -> None:
    endless = Estimate(math.inf, [math.inf] * 10, 10, 1.0, [])
    known = Estimate(5.0, [5.0] * 10, 10, 1.0, [])
    found = difference(known, endless)
    assert found.relative is None
    assert math.isnan(found.absolute.point)
    assert find(found, NO_FLOOR, higher_is_better=False) is Finding.NOT_JUDGED


def test_nothing_below_the_error_of_the_client_is_a_difference() -> None:
    found = compared(random.Random(5), 400, "p50", factor=1.2)
    assert find(found, NO_FLOOR, higher_is_better=False) is Finding.WORSE
    assert find(found, Floor(found.absolute.point * 1.01), higher_is_better=False) is Finding.BELOW_FLOOR
    assert find(found, NO_FLOOR, higher_is_better=True) is Finding.BETTER


@pytest.mark.parametrize(
    ("limit", "floor", "verdict"),
    [
        (0.10, 0.0, RuleVerdict.REGRESSION),  # the interval is above the limit
        (0.20, 0.0, RuleVerdict.UNDECIDED),  # the limit is inside of the interval
        (0.40, 0.0, RuleVerdict.NONE),  # the interval is below the limit
        (0.10, 0.1, RuleVerdict.UNDECIDED),  # the client's error of 10 % reaches the limit
        (0.40, 0.3, RuleVerdict.UNDECIDED),
    ],
)
def test_a_regression_needs_the_change_and_its_whole_interval_beyond_the_limit(
    limit: float, floor: float, verdict: RuleVerdict
) -> None:
    found = compared(random.Random(5), 400, "p50", factor=1.2)
    assert judge(Change("ttft", "p50", limit), found, Floor(floor), 1.0)[0] is verdict


@pytest.mark.parametrize(("degrees", "expected"), [(3, 3.182), (4, 2.776), (8, 2.306), (30, 2.042), (1e9, 1.960)])
def test_students_quantiles_are_those_of_the_tables(degrees: float, expected: float) -> None:
    assert student(0.95, degrees) == pytest.approx(expected, rel=0.01)
    assert student(0.95, 1e9) == pytest.approx(NormalDist().inv_cdf(0.975))


@pytest.mark.parametrize(("value", "expected"), [(3.2, 4), (101, 110), (1_234, 1_300), (math.inf, None), (1e12, None)])
def test_a_sample_size_is_rounded_up_to_two_digits(value: float, expected: int | None) -> None:
    assert round_up(value) == expected
