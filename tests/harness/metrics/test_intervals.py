"""Intervals hold the truth as often as they claim: exactly by the binomial distribution, and by simulation."""

import math
import random
from collections.abc import Callable

import pytest

from streamgauge.metrics.intervals import (
    CONFIDENCE,
    Decision,
    Interval,
    decide,
    lower_rank,
    needed,
    percentile,
    ranks,
    upper_rank,
    wilson,
)

SHAPES: dict[str, tuple[Callable[[random.Random], float], Callable[[float], float]]] = {
    "uniform": (lambda one: one.random(), lambda q: q),
    "exponential": (lambda one: one.expovariate(1), lambda q: -math.log(1 - q)),
    "pareto without a variance": (lambda one: one.paretovariate(1.2), lambda q: (1 - q) ** (-1 / 1.2)),
}


def binomial(n: int, p: float, k: int) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def coverage(n: int, q: float, low: int | None, high: int | None) -> float:
    """The probability that quantile q lies between the values of these ranks."""
    return sum(binomial(n, q, below) for below in range(n + 1) if (low or 0) <= below < (high or n + 1))


@pytest.mark.parametrize("n", [20, 59, 100, 400])
@pytest.mark.parametrize("q", [0.5, 0.75, 0.9, 0.95, 0.99])
def test_the_ranks_of_a_percentile_have_the_confidence_that_they_claim(n: int, q: float) -> None:
    low, high = ranks(n, q)

    assert coverage(n, q, low, high) >= CONFIDENCE - 1e-9
    if low is not None and high is not None:  # no narrower pair would do
        assert coverage(n, q, low + 1, high) < CONFIDENCE
        assert coverage(n, q, low, high - 1) < CONFIDENCE


@pytest.mark.parametrize(
    ("n", "q"), [(20, 0.5), (20, 0.75), (20, 0.9), (60, 0.5), (60, 0.95), (300, 0.95), (300, 0.99), (1_000, 0.9)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_percentiles_are_covered_as_often_as_claimed_also_with_heavy_tails(n: int, q: float, shape: str) -> None:
    draw, true = SHAPES[shape]
    source, truth = random.Random(n), true(q)
    runs = 4_000 if n < 100 else 1_200
    held = 0
    for _ in range(runs):
        found = percentile(sorted(draw(source) for _ in range(n)), q)
        held += (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)

    assert held / runs == pytest.approx(CONFIDENCE, abs=0.02)


def test_too_few_values_leave_an_end_open() -> None:
    assert percentile([], 0.5) == Interval(None, None)
    assert percentile([3.0], 0.5) == Interval(None, None)
    assert percentile([float(one) for one in range(1, 21)], 0.9) == Interval(16.0, None)
    assert percentile([float(one) for one in range(1, 21)], 0.05) == Interval(None, 4.0)
    assert (lower_rank(58, 0.05), upper_rank(58, 0.95), upper_rank(59, 0.95)) == (None, None, 59)


@pytest.mark.parametrize("n", [20, 50, 200])
def test_a_share_is_covered_as_often_as_claimed(n: int) -> None:
    """For one share, Wilson's interval goes up and down with n; over all shares it is close to what it claims."""
    shares = [(one + 0.5) / 200 for one in range(200)]
    covered = [
        sum(binomial(n, share, good) for good in range(n + 1) if wilson(good, n)[0] <= share <= wilson(good, n)[1])  # type: ignore[operator]
        for share in shares
    ]

    assert sum(covered) / len(covered) == pytest.approx(CONFIDENCE, abs=0.02)
    assert min(covered[20:-20]) > CONFIDENCE - 0.04


def test_wilson_of_known_values() -> None:
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 50)[0] == 0
    assert wilson(50, 50)[1] == 1


@pytest.mark.parametrize(
    ("q", "misses", "confidence", "streams"),
    [(0.95, 0, 0.95, 59), (0.99, 0, 0.99, 459), (0.99, 1, 0.99, 662), (0.99, 0, 0.95, 299), (0.5, 0, 0.95, 5)],
)
def test_the_sample_that_a_claim_needs(q: float, misses: int, confidence: float, streams: int) -> None:
    assert needed(q, misses, confidence) == streams
    assert decide(misses, streams, 1 - q, confidence) is Decision.PASS
    assert decide(misses, streams - 1, 1 - q, confidence) is Decision.UNDECIDED


def test_a_decision_agrees_with_the_order_statistic_that_bounds_the_percentile() -> None:
    """p95 <= limit is shown when the value of the upper rank is below the limit."""
    for n in (59, 60, 100, 333):
        upper, lower = upper_rank(n, 0.95), lower_rank(n, 0.95)
        assert upper is not None
        assert lower is not None
        for misses in range(n + 1):
            below = n - misses
            expected = Decision.UNDECIDED
            if below >= upper:
                expected = Decision.PASS
            elif below < lower:
                expected = Decision.FAIL
            assert decide(misses, n, 0.05) is expected


@pytest.mark.parametrize(("true", "allowed"), [(0.05, 0.05), (0.1, 0.1), (0.01, 0.01)])
def test_a_wrong_decision_is_as_rare_as_claimed(true: float, allowed: float) -> None:
    """At the very edge, where each decision is as often wrong as it may be."""
    for n in (20, 100, 400):
        wrong = {Decision.PASS: 0.0, Decision.FAIL: 0.0, Decision.UNDECIDED: 0.0}
        for misses in range(n + 1):
            wrong[decide(misses, n, allowed)] += binomial(n, true, misses)
        assert wrong[Decision.PASS] <= 0.05 + 1e-9
        assert wrong[Decision.FAIL] <= 0.05 + 1e-9


def test_all_or_none() -> None:
    assert decide(0, 1_000, 0.0) is Decision.UNDECIDED
    assert decide(1, 1_000, 0.0) is Decision.FAIL
    assert decide(1_000, 1_000, 1.0) is Decision.PASS
    assert decide(0, 0, 0.05) is Decision.UNDECIDED
