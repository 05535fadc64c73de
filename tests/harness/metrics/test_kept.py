"""Values of many streams: exact while they are few, within a known rounding beyond, in memory that stays the same."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics import kept
from streamgauge.metrics.kept import EXACT_VALUES, ROUNDING, Kept


def of(values: list[float]) -> Kept:
    found = Kept()
    for value in values:
        found.add(value)
    return found


def many(count: int) -> list[float]:
    generator = random.Random(7)
    return [generator.lognormvariate(18, 2) for _ in range(count)]


@given(st.lists(st.floats(-1e12, 1e12), max_size=50))
def test_a_few_values_are_kept_whole(values: list[float]) -> None:
    assert list(of(values).ordered) == sorted(values)


@pytest.mark.parametrize("count", [EXACT_VALUES - 1, EXACT_VALUES, EXACT_VALUES + 1, 3 * EXACT_VALUES + 17])
def test_many_values_are_in_order_and_within_the_rounding(count: int) -> None:
    values = sorted([*many(count - 3), 0.0, -5.5e6, 1.0])
    found = of(random.Random(1).sample(values, count))

    assert len(found) == len(found.ordered) == count
    assert list(found.ordered) == sorted(found.ordered)
    assert found.rounding == (ROUNDING if count >= EXACT_VALUES else 0)
    assert all(abs(a - b) <= abs(b) * found.rounding for a, b in zip(found.ordered, values, strict=True))


def test_the_ends_and_small_whole_numbers_are_exact_among_many() -> None:
    values = [*many(EXACT_VALUES), *map(float, range(4_097))]
    ordered = of(values).ordered

    assert (ordered[0], ordered[-1]) == (min(values), max(values))
    assert set(map(float, range(4_097))) <= set(ordered)


def test_values_added_after_a_look_are_in_the_next_one() -> None:
    found = of([3.0, 1.0])
    assert list(found.ordered) == [1.0, 3.0]
    found.add(2.0)
    assert list(found.ordered) == [1.0, 2.0, 3.0]
    for value in many(EXACT_VALUES):
        found.add(value + 10)
    found.add(0.5)
    assert list(found.ordered[:4]) == [0.5, 1.0, 2.0, 3.0]


def test_ten_times_the_values_take_no_more_memory() -> None:
    def cells(count: int) -> int:
        found = of(many(count))
        return len(found._counts) + len(found._values)

    few, lots = cells(2 * EXACT_VALUES), cells(20 * EXACT_VALUES)
    assert lots < 3 * few
    assert lots < 20 * EXACT_VALUES / 8
    assert kept.ROUNDING < 0.001
