"""The rows that client processes write about themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import PERIOD_NS, busiest, lateness, unsampled
from streamgauge.units import MS, SECOND
from tests.builders.client_lag import row


def test_the_busiest_process_counts_with_the_time_that_it_waited_for_a_core() -> None:
    assert busiest([]) is None
    assert busiest([row(1, cpu_ns=200), row(2, cpu_ns=300, waited_ns=400)]) == 0.7
    assert busiest([row(1, cpu_ns=900, waited_ns=900)]) == 1.0
    assert busiest([row(1, wall_ns=0)]) is None


def test_lateness_is_pooled_over_processes() -> None:
    pool = lateness([row(1, late=[MS] * 3), row(2, late=[9 * MS])])
    assert (pool.count, pool.maximum) == (4, 9 * MS)


def test_a_pause_counts_for_every_tick_that_it_swallowed() -> None:
    assert unsampled(0) == [0]
    assert unsampled(PERIOD_NS - 1) == [PERIOD_NS - 1]
    assert unsampled(2 * PERIOD_NS + 1) == [2 * PERIOD_NS + 1, PERIOD_NS + 1, 1]
    # A second of silence in two is half of the time, and not one sample in two hundred.
    pool = Histogram()
    pool.add(unsampled(SECOND))
    pool.add([0] * (SECOND // PERIOD_NS))
    assert (pool.quantile(0.74) or 0) == pytest.approx(SECOND * 0.48, rel=0.02)


@given(st.integers(0, 10**15))
def test_a_pause_of_any_length_takes_bounded_memory(late_ns: int) -> None:
    samples = unsampled(late_ns)
    assert 1 <= len(samples) <= 10_001
    assert max(samples) == late_ns
    assert min(samples) >= 0
