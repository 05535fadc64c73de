"""Values in blocks of time: exact quantiles of weighted blocks, and blocks that are long enough."""

import math
import random
from collections import Counter
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.comparing.blocks import LENGTHS, SLICES, Blocks, Mean, Quantile, fitted, sliced_waits
from streamgauge.metrics.survival import Waits, quantile
from tests.builders.compared import column, ttfts

VALUES = st.lists(st.integers(1, 50), min_size=1, max_size=80)


@given(
    values=VALUES, weights=st.lists(st.integers(0, 3), min_size=SLICES, max_size=SLICES), q=st.sampled_from([0.5, 0.9])
)
def test_a_quantile_of_weighted_blocks_is_that_of_the_repeated_values(
    values: list[int], weights: list[int], q: float
) -> None:
    placed = [(float(value), at % SLICES) for at, value in enumerate(values)]
    blocks = Blocks.of([sliced_waits(placed)], 1)
    kept = weights[: len(blocks.totals)]  # the first slices are those with values
    expected = sorted(value for value, at in placed for _ in repeat(None, kept[at]))
    if expected:
        rank = max(math.ceil(round(q * len(expected), 6)), 1)
        assert Quantile(blocks, q).of([float(weight) for weight in kept]) == expected[rank - 1]


@given(
    ended=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    cut=st.lists(st.integers(1, 30), max_size=10),
    q=st.sampled_from([0.5, 0.9, 0.99]),
)
def test_the_quantile_with_cut_waits_is_the_one_of_the_summary(ended: list[int], cut: list[int], q: float) -> None:
    placed = sliced_waits([(float(value), 3) for value in ended], [(float(value), 3) for value in cut])
    expected = quantile(Waits(sorted(map(float, ended)), sorted(map(float, cut))), q)
    assert expected is not None
    found = Quantile(Blocks.of([placed], 1), q).point
    assert found == (math.inf if expected.at_least else expected.value)


def test_values_that_are_counted_give_the_same_as_values_that_are_listed() -> None:
    rng = random.Random(3)
    values = [(rng.randrange(20), rng.randrange(SLICES)) for _ in range(500)]
    cut = [(rng.randrange(20), rng.randrange(SLICES)) for _ in range(50)]
    listed = Blocks.of([sliced_waits(values, cut)], 2)
    counted = Blocks.of([sliced_waits(Counter(values), Counter(cut))], 2)
    assert Quantile(listed, 0.9).point == Quantile(counted, 0.9).point
    assert Mean(listed).point == pytest.approx(Mean(counted).point)


def test_a_mean_with_waits_that_never_ended_is_open() -> None:
    assert Mean(Blocks.of([sliced_waits([(1.0, 0)], [(5.0, 0)])], 1)).point == math.inf


def test_independent_streams_keep_short_blocks_and_dependent_ones_get_longer_blocks() -> None:
    def mean_blocks(memory: float) -> float:
        counts = [
            len(fitted([column(ttfts(random.Random(seed), 600, memory=memory))], "p50").blocks.totals)
            for seed in range(10)
        ]
        return sum(counts) / len(counts)

    assert mean_blocks(0.1) > 30
    assert mean_blocks(40) < 20


def test_a_run_that_only_climbs_is_restless() -> None:
    climbing = column([100.0 + number for number in range(480)])
    fit = fitted([climbing], "p50")
    assert fit.restless
    assert fit.stretch > 1.2
    assert len(fit.blocks.totals) == SLICES // LENGTHS[-1]
