"""The histogram against exact quantiles."""

import math
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.histogram import RELATIVE_ERROR, Counts, Histogram

VALUES = st.lists(st.integers(0, 10**13), min_size=1, max_size=200)
QUANTILE = st.floats(0, 1)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


@given(VALUES, QUANTILE)
def test_a_quantile_is_within_the_stated_error_of_the_nearest_rank(values: list[int], q: float) -> None:
    exact = sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
    assert filled(values).quantile(q) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-6), abs=0)


@given(VALUES, st.integers(0, 200))
def test_merged_parts_equal_the_whole(values: list[int], at: int) -> None:
    merged = filled(values[:at])
    merged.merge(filled(values[at:]))
    assert merged.counts() == filled(values).counts()


@given(VALUES)
def test_count_total_and_maximum_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert (histogram.count, histogram.total, histogram.maximum) == (len(values), sum(values), max(values))


@given(VALUES)
def test_rows_are_disjoint_ordered_and_hold_every_value(values: list[int]) -> None:
    rows = filled(values).rows()
    assert sum(count for _, _, count in rows) == len(values)
    for (_, upper, _), (lower, _, _) in pairwise(rows):
        assert upper <= lower * (1 + 1e-12)
    for value in values:
        assert any(low * (1 - 1e-9) <= value <= high * (1 + 1e-9) for low, high, _ in rows)


@given(st.lists(st.integers(-3, 300) | st.integers(0, 10**13) | st.integers(10**18, 10**19), max_size=300))
def test_each_value_is_in_the_bucket_of_its_logarithm(values: list[int]) -> None:
    per_log = 1 / math.log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
    buckets = Counter(math.ceil(math.log(value) * per_log) for value in values if value > 0)
    zeros = sum(value <= 0 for value in values)
    total = sum(value for value in values if value > 0)
    assert filled(values).counts() == Counts(dict(buckets), zeros, total, max(0, *values) if values else None)


def test_without_data_there_is_no_quantile() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    assert histogram.maximum is None
    assert histogram.rows() == []


def test_negative_gaps_count_as_zero() -> None:
    histogram = filled([-5, -1, 0, 10])
    assert (histogram.zeros, histogram.count, histogram.total, histogram.maximum) == (3, 4, 10, 10)
    assert histogram.quantile(0.75) == 0.0
    assert filled([-5]).maximum == 0


def test_merging_an_empty_one_changes_nothing() -> None:
    histogram = filled([0, 7])
    histogram.merge(Histogram())
    empty = Histogram()
    empty.merge(filled([0, 7]))
    assert histogram.counts() == empty.counts() == filled([0, 7]).counts()


@given(VALUES, VALUES)
def test_one_that_travelled_described_can_be_merged_like_any_other(here: list[int], there: list[int]) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(filled(there).counts()), type=Counts)
    merged = filled(here)
    merged.merge(Histogram.of(sent))
    assert merged.counts() == filled(here + there).counts()
