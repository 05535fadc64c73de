"""Exact percentiles are measured values; percentiles of a histogram are within its relative error."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.distributions import Distribution, distribution, pooled
from streamgauge.metrics.histogram import RELATIVE_ERROR
from streamgauge.metrics.summary import Totals
from tests.builders.tapes import MS


def test_a_distribution_is_nearest_rank() -> None:
    assert distribution([n * MS for n in range(1, 101)]) == Distribution(50.5, 50, 90, 95, 99, 100, 100)
    assert distribution([3 * MS, MS]) == Distribution(2, 1, 3, 3, 3, 3, 2)
    assert distribution([]) is None


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
