"""Streams that wait in one queue are worth fewer independent ones, and intervals that know it hold the truth."""

import math
import random
from collections.abc import Callable
from statistics import NormalDist

import pytest

from streamgauge.metrics.dependence import (
    MOST_VALUES,
    Dependence,
    Wait,
    clear_dependence,
    dependence,
    dependence_at,
)
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.metrics.survival import Waits, interval
from streamgauge.protocol.outcome import Outcome
from tests.builders.made import made
from tests.harness.metrics.test_steady_state import closed_loop, queue

RUNS = 60


def waits_of(load: Callable[..., list], seed: int, streams: int) -> list[float]:  # type: ignore[type-arg]
    return [float(stay.ttft_ns) for stay in load(random.Random(seed), streams=streams)[100:]]


def of_series(values: list[float]) -> Dependence:
    found = Dependence()
    for number, value in enumerate(values):
        found.add(Wait(number, ttft=value))
    return found


def test_independent_values_are_worth_themselves() -> None:
    series = [[draw.expovariate(1) for _ in range(300)] for draw in map(random.Random, range(100))]
    assert sum(clear_dependence(values) > 1 for values in series) <= 10, "of 100; 5 are expected"


def test_a_moving_average_has_the_dependence_that_theory_gives_it() -> None:
    """tau of an autoregressive series with coefficient 0.8 is (1 + 0.8) / (1 - 0.8) = 9."""
    draw, value, series = random.Random(1), 0.0, []
    for _ in range(20_000):
        value = 0.8 * value + draw.gauss(0, 1)
        series.append(value)
    assert dependence(series) == pytest.approx(9, rel=0.15)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_intervals_at_a_busy_server_hold_the_truth_only_with_the_dependence(q: float) -> None:
    every = sorted(value for seed in range(1_000, 1_020) for value in waits_of(closed_loop, seed, 2_100))
    truth, held = every[int(q * len(every))], {"with": 0, "without": 0}
    for seed in range(RUNS):
        values = waits_of(closed_loop, seed, 500)
        tau = of_series(values).of("ttft", q)
        for name, worth in (("with", tau), ("without", 1.0)):
            low, high = interval(Waits(sorted(values)), q, worth)
            held[name] += (low is None or low <= truth) and (high is None or truth <= high)
    assert held["with"] >= 0.88 * RUNS, held
    assert held["without"] <= 0.8 * RUNS, held


def decided(runs: list[list[float]], limit: float) -> tuple[float, float]:
    """The shares of runs in which p95 is certainly below the limit, and certainly not."""
    below = above = 0
    for values in runs:
        low, high = interval(Waits(sorted(values)), 0.95, dependence_at(values, limit))
        below += high is not None and high < limit
        above += low is not None and low >= limit
    return below / len(runs), above / len(runs)


def test_an_objective_is_rarely_decided_wrongly_where_streams_wait_in_one_queue() -> None:
    """Where the limit is the true p95, each decision is as good as wrong."""
    every = sorted(value for seed in range(1_000, 1_010) for value in waits_of(closed_loop, seed, 2_100))
    truth = every[int(0.95 * len(every))]
    runs = [waits_of(closed_loop, seed, 500) for seed in range(RUNS)]

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
    assert dependence_at(wave, 300) > 10
    assert dependence_at(wave, 399) > 5, "few are beyond, so the slowest tenth speaks for them"
    assert dependence_at(wave, 100_000) == 1, "it moves by less than 5 % of the limit"


def test_failed_streams_that_count_as_infinitely_slow_have_a_dependence() -> None:
    assert dependence_at([math.inf if number % 100 < 20 else 1.0 for number in range(400)], 5) > 5
    assert dependence_at([math.inf] * 40, 5) == 1
    assert dependence_at([0.0] * 40, 0) == 1


def test_streams_behind_one_queue_are_worth_few() -> None:
    found = of_series(waits_of(queue, 3, 1_000))
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
