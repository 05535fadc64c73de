"""Exact percentiles are measured values; percentiles of a histogram are within its relative error."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.distributions import Distribution, distribution, pooled, show_interval
from streamgauge.metrics.histogram import RELATIVE_ERROR
from streamgauge.metrics.intervals import Interval
from streamgauge.metrics.summary import Totals
from tests.builders.tapes import MS


def test_a_distribution_is_nearest_rank() -> None:
    assert distribution([n * MS for n in range(1, 101)]) == Distribution(50.5, 50, 90, 95, 99, 100, 100)
    assert distribution([3 * MS, MS]) == Distribution(2, 1, 3, 3, 3, 3, 2)
    assert distribution([]) is None


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (398.2, 431.4, "398–431"),
        (9.998, 10.02, "10.0–10.0"),
        (1_203.5, 1_400.1, "1,204–1,400"),
        (0.031, 0.4, "0.03–0.40"),
        (95.4, None, "≥ 95.4"),
        (None, 250.0, "≤ 250"),
        (None, None, ""),
    ],
)
def test_an_interval_is_shown_with_the_digits_of_its_larger_end(
    low: float | None, high: float | None, shown: str
) -> None:
    assert show_interval(Interval(low, high)) == shown


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60))
def test_a_percentile_was_measured(values: list[int]) -> None:
    found = distribution(values)
    assert found is not None
    measured = {round(value / MS, 3) for value in values}
    assert {found.p50, found.p90, found.p95, found.p99, found.max} <= measured
    assert found.p50 <= found.p90 <= found.p95 <= found.p99 <= found.max


def test_the_pooled_itl_agrees_with_the_exact_one() -> None:
    draw = random.Random(7)
    gaps = [draw.randrange(1, 10**9) for _ in range(5000)]
    totals = Totals()
    totals.pools["itl"].add(gaps)
    exact, found = distribution(gaps), pooled(totals.pools["itl"].whole)
    assert exact is not None
    assert found is not None
    for name in ("p50", "p90", "p95", "p99"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=RELATIVE_ERROR * 1.001)
    assert (found.mean, found.max, found.count) == (exact.mean, exact.max, exact.count)
