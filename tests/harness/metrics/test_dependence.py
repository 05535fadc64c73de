"""Streams that depend on each other are worth fewer independent ones, and intervals that know it hold the truth."""

import math
import random
from statistics import NormalDist, fmean

import pytest

from streamgauge.metrics.dependence import (
    MOST_VALUES,
    Dependence,
    Events,
    Wait,
    at_limit,
    at_quantile,
    autocorrelation,
    of_share,
)
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.metrics.survival import Waits, interval
from streamgauge.protocol.outcome import Outcome
from tests.builders.dependent import bursts, covered, holds_share, served, wandering
from tests.builders.made import made
from tests.harness.metrics.test_steady_state import closed_loop, queue

RUNS = 150
QUEUE, LOOP = served(queue), served(closed_loop)
KINDS = {
    "independent": (wandering(0), 300),
    "correlated over 3 streams": (wandering(3), 300),
    "correlated over 20 streams": (wandering(20), 600),
    "half correlated over 20 streams": (wandering(20, own=0.5), 600),
    "a queue that is 70 % busy": (QUEUE, 1_000),
    "a short run of that queue": (QUEUE, 600),
    "a closed loop": (LOOP, 300),
}


def of_series(values: list[float]) -> Dependence:
    found = Dependence()
    for number, value in enumerate(values):
        found.add(Wait(number, ttft=value))
    return found


def test_independent_values_are_worth_themselves() -> None:
    series = [wandering(0).draw(random.Random(seed), 300) for seed in range(100)]
    assert sum(at_quantile(values, 0.5) > 1 for values in series) <= 10, "of 100; 7 are expected"


def test_a_moving_average_has_the_dependence_that_theory_gives_it() -> None:
    """Of a normal series with correlation r, being above the median has 2 / pi * asin(r) (Sheppard, 1899)."""
    values = wandering(1 / -math.log(0.8)).draw(random.Random(1), 20_000)
    middle = sorted(values)[len(values) // 2]
    above = Events(value > middle for value in values)
    expected = 1 + 2 * sum(2 / math.pi * math.asin(0.8**lag) for lag in range(1, 60))
    assert autocorrelation(above.products, above.n).tau == pytest.approx(expected, rel=0.15)
    assert of_share(above) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("lag", [0, 1, 2, 63, 64, 65, 150])
def test_the_products_of_bits_are_those_of_deviations(lag: int) -> None:
    events = bursts(5, 0.3)(random.Random(lag), 200)
    mean = sum(events) / len(events)
    expected = sum((one - mean) * (other - mean) for one, other in zip(events, events[lag:], strict=False))
    assert Events(events).products(lag) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold_the_truth_as_often_as_they_claim(kind: str) -> None:
    """Each count of 150 runs is known to 2 points, so all four together decide. `make bench-intervals` counts more."""
    draw, streams = KINDS[kind]
    found = covered(draw, streams, (0.5, 0.9, 0.95, 0.99), RUNS)
    assert fmean(found) >= 0.94
    assert min(found) >= 0.91


@pytest.mark.parametrize(("n", "length", "share"), [(300, 3, 0.1), (1_000, 8, 0.1), (1_000, 20, 0.2)])
def test_intervals_of_shares_hold_the_truth_where_streams_fail_together(n: int, length: float, share: float) -> None:
    draw = bursts(length, share)
    assert sum(holds_share(draw(random.Random(seed), n), share) for seed in range(RUNS)) >= 0.93 * RUNS


def test_intervals_that_take_streams_for_independent_hold_the_truth_less_often() -> None:
    truth, held = QUEUE.truth(0.95), 0
    for seed in range(60):
        low, high = interval(Waits(sorted(QUEUE.draw(random.Random(seed), 600))), 0.95)
        held += (low is None or low <= truth) and (high is None or truth <= high)
    assert held <= 0.5 * 60


def test_few_streams_that_all_depend_on_each_other_set_no_upper_bound() -> None:
    values = wandering(100).draw(random.Random(3), 60)
    assert interval(Waits(sorted(values)), 0.5, at_quantile(values, 0.5)).high is None


def test_a_single_burst_of_failures_says_little() -> None:
    """20 of 400 streams fail: all in one burst, or in four."""
    together, apart = (of_share(Events(number % every < 20 * every / 400 for number in range(400)))
                       for every in (400, 100))  # fmt: skip
    assert together > 2 * apart > 10


def test_bursts_of_very_different_sizes_say_less_than_even_ones() -> None:
    """Of 1,200 streams 120 are beyond: in 24 bursts of 5, or in 21 of 2 to 4 and three large ones."""
    sizes = [[5] * 24, [3, 2, 4] * 7 + [19, 19, 19]]
    found = []
    for each in sizes:
        assert sum(each) == 120
        begins = [number * 50 for number in range(24)]
        beyond = {begin + at for begin, size in zip(begins, each, strict=True) for at in range(size)}
        events = Events(number in beyond for number in range(1_200))
        found.append(of_share(events) / of_share(events, skewed=False))
    assert found[0] == 1
    assert found[1] > 1.2


def test_the_upper_end_of_a_median_allows_for_long_waits_that_are_more_alike() -> None:
    """Short waits alternate between 0 and 1. Of every 100 streams, the first 25 in a row wait 2 longer."""
    values = [float(number % 2) + (2.0 if number % 100 < 25 else 0.0) for number in range(400)]
    series = [*values]
    ordered = sorted(series)
    above = of_share(Events(value >= ordered[200] for value in series))
    assert at_quantile(series, 0.5) > above


def test_equal_values_are_on_the_same_side() -> None:
    """Of 300 streams, 180 never wait, and those that wait come together."""
    values = [float(number % 100 >= 60) for number in range(300)]
    assert at_quantile(values, 0.5) > 20
    assert at_quantile([1.0] * 300, 0.5) == 1


def decided(runs: list[list[float]], limit: float) -> tuple[float, float]:
    """The shares of runs in which p95 is certainly below the limit, and certainly not."""
    below = above = 0
    for values in runs:
        low, high = interval(Waits(sorted(values)), 0.95, at_limit(values, limit))
        below += high is not None and high < limit
        above += low is not None and low >= limit
    return below / len(runs), above / len(runs)


def test_an_objective_is_rarely_decided_wrongly_where_streams_wait_in_one_queue() -> None:
    """Where the limit is the true p95, each decision is as good as wrong."""
    truth = LOOP.truth(0.95)
    runs = [LOOP.draw(random.Random(seed), 600) for seed in range(RUNS)]

    assert max(decided(runs, truth)) <= 0.05
    assert decided(runs, 1.5 * truth)[0] >= 0.6
    assert decided(runs, 0.7 * truth)[1] >= 0.9


def test_independent_streams_decide_an_objective_as_often_as_the_binomial_distribution_allows() -> None:
    truth = math.exp(0.5 * NormalDist().inv_cdf(0.95))
    runs = [[draw.lognormvariate(0, 0.5) for _ in range(400)] for draw in map(random.Random, range(RUNS))]

    assert max(decided(runs, truth)) <= 0.05
    assert decided(runs, 1.3 * truth)[0] >= 0.9
    assert decided(runs, 0.75 * truth)[1] >= 0.95


def test_only_what_happens_at_the_limit_decides_what_streams_are_worth() -> None:
    """A slow wave: it decides where it crosses the limit, and not where it is far below."""
    wave = [300.0 + 100 * math.sin(number / 20) for number in range(400)]
    assert at_limit(wave, 300) > 10
    assert at_limit(wave, 399) > 5, "few are beyond, so the slowest tenth speaks for them"
    assert at_limit(wave, 100_000) == 1, "it moves by less than 5 % of the limit"


def test_failed_streams_that_count_as_infinitely_slow_have_a_dependence() -> None:
    assert at_limit([math.inf if number % 100 < 20 else 1.0 for number in range(400)], 5) > 5
    assert at_limit([math.inf] * 40, 5) == 1
    assert at_limit([0.0] * 40, 0) == 1


def test_streams_behind_one_queue_are_worth_few() -> None:
    found = of_series(QUEUE.draw(random.Random(3), 900))
    assert found.of("ttft", 0.95) > 4
    assert found.of("adj_ttft", 0.95) == found.of("ttfb", 0.95) == found.of("ttft", 0.95)
    assert found.of("e2e", 0.95) == 1, "there is no such series"
    assert found.of("connect", 0.95) == 1


def test_only_the_newest_streams_are_kept() -> None:
    found = of_series([0.0] * 50 + [float(number % 2) for number in range(MOST_VALUES)])
    assert found.of("ttft", 0.5) == 1


def test_failures_that_come_together_widen_the_interval_of_the_error_rate() -> None:
    """40 of 400 streams fail: evenly, or all in four bursts."""
    widths = []
    for fails in (lambda number: number % 10 == 0, lambda number: number % 100 < 10):
        totals = Totals([parse_slo("error_rate < 20%")])
        for number in range(400):
            outcome = Outcome.TRUNCATED if fails(number) else Outcome.OK
            totals.add(made(10, 20, start_ms=number, outcome=outcome))
        found = totals.summary().share_intervals["error_rate"]
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


def test_a_summary_says_how_much_its_streams_depend_on_each_other() -> None:
    totals = Totals()
    for number in range(400):
        totals.add(made(100 + (number // 50) * 20 + number % 7, 500, start_ms=10 * number))
    assert totals.summary().dependence["ttft"] > 3
