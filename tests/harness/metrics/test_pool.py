"""A pool of gaps has an interval that knows that the gaps of a stream are alike."""

import math
import random
from collections.abc import Iterator

import pytest

from streamgauge.metrics.histogram import RELATIVE_ERROR, Histogram
from streamgauge.metrics.intervals import student
from streamgauge.metrics.pool import LEAST_BLOCKS, Pool


def streams(draw: random.Random, count: int, gaps: int, between: float) -> Iterator[list[int]]:
    """Each stream has a pace of its own: the logarithm of its mean gap is normal with deviation `between`."""
    for _ in range(count):
        pace = math.exp(draw.gauss(0, between)) * 1e6
        yield [int(pace * draw.expovariate(1)) + 1 for _ in range(gaps)]


def pool_of(each: Iterator[list[int]]) -> Pool:
    pool = Pool()
    for values in each:
        pool.add(values)
    return pool


def true_quantile(q: float, between: float) -> float:
    draw = random.Random(0)
    values = sorted(math.exp(draw.gauss(0, between)) * draw.expovariate(1) * 1e6 for _ in range(100_000))
    return values[int(q * len(values))]


def test_all_values_are_counted_in_blocks_of_equal_size() -> None:
    pool, whole = Pool(), Histogram()
    for values in streams(random.Random(1), 333, 7, 0.3):
        pool.add(values, zeros=1)
        whole.add([*values, 0])

    assert (pool.count, pool.streams, pool.whole.rows()) == (333 * 8, 333, whole.rows())
    assert [pool.whole.quantile(q) for q in (0.05, 0.5, 0.99)] == [whole.quantile(q) for q in (0.05, 0.5, 0.99)]


def test_a_stream_without_a_gap_is_not_a_stream_of_the_pool() -> None:
    pool = Pool()
    pool.add([])
    assert (pool.streams, pool.count) == (0, 0)


@pytest.mark.parametrize(
    ("count", "q", "between"), [(24, 0.5, 0.5), (60, 0.95, 0.0), (60, 0.95, 0.5), (200, 0.99, 0.5)]
)
def test_the_interval_holds_the_truth_although_the_gaps_of_a_stream_are_alike(
    count: int, q: float, between: float
) -> None:
    truth, draw, runs, held = true_quantile(q, between), random.Random(count), 100, 0
    for _ in range(runs):
        found = pool_of(streams(draw, count, 12, between)).percentile(q)
        assert found is not None
        slack = 1 + 2 * RELATIVE_ERROR
        held += (found.low is None or found.low <= truth * slack) and (
            found.high is None or truth <= found.high * slack
        )
    assert held >= 90, "of 100; 95 are expected"


def test_a_thousand_gaps_of_few_kinds_of_streams_are_not_a_thousand_values() -> None:
    alike, apart = (pool_of(streams(random.Random(3), 60, 50, between)) for between in (0.0, 1.0))
    worth = alike.worth(0.5), apart.worth(0.5)
    assert worth[0] is not None
    assert worth[1] is not None
    assert worth[0] > 1_000
    assert worth[1] < 200


def test_where_no_gap_is_above_the_percentile_only_the_number_of_streams_speaks() -> None:
    pool = pool_of([1_000_000] * 50 for _ in range(100))
    assert pool.worth(0.99) == 100
    found = pool.percentile(0.99)
    assert found is not None
    assert found.high is None, "100 streams without a miss do not show that 1 % of streams are not slow"


def test_few_streams_have_no_interval() -> None:
    assert pool_of(streams(random.Random(1), LEAST_BLOCKS - 1, 50, 0.3)).percentile(0.5) is None
    assert pool_of(streams(random.Random(1), LEAST_BLOCKS, 50, 0.3)).percentile(0.5) is not None


@pytest.mark.parametrize(("freedom", "expected"), [(9, 2.2622), (19, 2.0930), (39, 2.0227)])
def test_students_t_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert student(0.95, freedom) == pytest.approx(expected, rel=1e-3)
