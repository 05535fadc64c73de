"""Waits of which some were cut: the estimators against the truth of simulations, where nothing was cut."""

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.distributions import nearest_rank
from streamgauge.metrics.intervals import Interval, percentile
from streamgauge.metrics.survival import (
    Estimate,
    Share,
    Waits,
    interval,
    longest,
    mean,
    quantile,
    share_of_good,
    statistic,
)

DURATIONS = st.lists(st.integers(0, 1_000), max_size=60).map(sorted)


def cut_at(waits: list[float], cuts: list[float]) -> Waits:
    """What an observer sees who cuts the n-th wait at the n-th time."""
    ended = [wait for wait, cut in zip(waits, cuts, strict=True) if wait <= cut]
    return Waits(sorted(ended), sorted(cut for wait, cut in zip(waits, cuts, strict=True) if wait > cut))


@given(st.lists(st.integers(0, 1_000), min_size=1).map(sorted), st.floats(0.01, 1))
def test_without_cut_waits_a_quantile_is_the_nearest_rank(ended: list[float], q: float) -> None:
    assert quantile(Waits(ended), q) == Estimate(nearest_rank(ended, q))


def test_no_wait_at_all_is_no_figure() -> None:
    assert [statistic(Waits([]), name) for name in ("mean", "max", "p50")] == [None] * 3
    assert share_of_good([], [], []) is None


def test_a_textbook_example_of_kaplan_and_meier() -> None:
    """Remission in weeks under 6-mercaptopurine (Freireich et al. 1963), with the curve that every textbook prints."""
    waits = Waits([6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
    curve = {0.143: 6, 0.193: 7, 0.247: 10, 0.310: 13, 0.373: 16, 0.462: 22, 0.552: 23}
    assert {q: found.value for q in curve if (found := quantile(waits, q - 0.0005)) is not None} == curve
    assert quantile(waits, 0.56) == Estimate(17, at_least=True), "the curve ends at 55.2 %: the 12th of all 21 waits"


@given(DURATIONS, DURATIONS, st.floats(0.01, 1))
def test_an_estimate_lies_between_the_figures_with_the_cut_waits_at_their_cuts_and_without_end(
    ended: list[float], cut: list[float], q: float
) -> None:
    found = quantile(Waits(ended, cut), q)
    if found is None:
        assert not ended
        assert not cut
        return
    least = nearest_rank(sorted([*ended, *cut]), q)
    most = nearest_rank(sorted([*ended, *[float("inf")] * len(cut)]), q)
    if found.at_least:
        assert found.value == least
    else:
        assert least <= found.value <= most
        assert found.value in ended


@given(DURATIONS, DURATIONS)
def test_a_quantile_never_falls_while_q_rises(ended: list[float], cut: list[float]) -> None:
    known = [quantile(Waits(ended, cut), q / 100) for q in range(1, 101)]
    values = [found.value for found in known if found is not None and not found.at_least]
    assert values == sorted(values)
    bounds = [found is not None and found.at_least for found in known]
    assert bounds == sorted(bounds), "what is open stays open further up"


@given(DURATIONS, DURATIONS)
def test_the_mean_is_open_exactly_when_the_longest_wait_is(ended: list[float], cut: list[float]) -> None:
    found, most = mean(Waits(ended, cut)), longest(Waits(ended, cut))
    if found is None or most is None:
        assert found is most
        return
    assert found.at_least or not most.at_least
    assert found.value <= most.value + 1e-6
    if not cut:
        assert found.value == pytest.approx(fmean(ended))


EXPONENTIAL: Callable[[random.Random], float] = lambda rng: rng.expovariate(1 / 200)  # noqa: E731
TWO_KINDS: Callable[[random.Random], float] = lambda rng: rng.gauss(200, 20) if rng.random() < 0.8 else 700.0  # noqa: E731


@pytest.mark.parametrize("wait", [EXPONENTIAL, TWO_KINDS], ids=["exponential", "two kinds"])
@pytest.mark.parametrize(("q", "name"), [(0.5, "p50"), (0.9, "p90")])
def test_the_end_of_a_window_does_not_bias_a_percentile(
    wait: Callable[[random.Random], float], q: float, name: str
) -> None:
    """Streams start anywhere in a window of one second, and its end cuts many of them. Leaving them out is biased."""
    rng = random.Random(7)
    estimated, naive, true = [], [], []
    for _ in range(60):
        waits = [wait(rng) for _ in range(600)]
        seen = cut_at(waits, [rng.uniform(0, 1_000) for _ in waits])
        found = statistic(seen, name)
        assert found is not None
        assert not found.at_least
        estimated.append(found.value)
        naive.append(nearest_rank(seen.ended, q))
        true.append(nearest_rank(sorted(waits), q))
    assert fmean(estimated) == pytest.approx(fmean(true), rel=0.03)
    assert fmean(naive) < 0.98 * fmean(true)


def test_the_end_of_a_window_does_not_bias_the_share_of_good_streams() -> None:
    """One stream in five misses its limit at 300 ms, and the others end after 2 s: misses are known sooner."""
    rng = random.Random(7)
    found, naive = [], []
    for _ in range(60):
        good, bad, cut = [], [], []
        for _ in range(400):
            known, until = (300.0, bad) if rng.random() < 0.2 else (rng.gauss(2_000, 100), good)
            age = rng.uniform(0, 6_000)
            if known <= age:
                until.append(known)
            else:
                cut.append(age)
        share = share_of_good(sorted(good), sorted(bad), sorted(cut))
        assert share is not None
        assert share.high - share.low < 0.02
        found.append(share.low)
        naive.append(len(good) / (len(good) + len(bad)))
    assert fmean(found) == pytest.approx(0.8, abs=0.01)
    assert fmean(naive) < 0.76


@given(DURATIONS, DURATIONS, DURATIONS)
def test_a_share_is_an_interval_of_shares(good: list[float], bad: list[float], cut: list[float]) -> None:
    found = share_of_good(good, bad, cut)
    if found is None:
        assert good == bad == cut == []
        return
    assert 0 <= found.low <= found.high <= 1
    if not cut:
        assert found == Share(len(good) / len(good + bad), len(good) / len(good + bad))
    if not bad:
        assert found.high == 1
    if not good:
        assert found.low == 0


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_an_interval_of_waits_of_which_many_were_cut_holds_the_truth(q: float) -> None:
    """Exponential waits with a mean of 1; each is cut at a random time, a third of them before they end."""
    draw, truth, held = random.Random(11), -math.log(1 - q), 0
    for _ in range(400):
        pairs = [(draw.expovariate(1), draw.uniform(0.3, 4)) for _ in range(120)]
        waits = Waits(sorted(w for w, c in pairs if w <= c), sorted(c for w, c in pairs if w > c))
        found = interval(waits, q)
        held += (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)
    assert held / 400 >= 0.93


def test_without_cut_waits_an_interval_is_that_of_the_values() -> None:
    assert interval(Waits(range(1, 101)), 0.5) == percentile(range(1, 101), 0.5)


def test_a_wait_that_never_ended_leaves_the_interval_open_above_it() -> None:
    assert interval(Waits([1.0] * 50, [9.0] * 50), 0.5).high is None
    assert interval(Waits([], [9.0] * 50), 0.5) == Interval(9.0, None)
