"""Schedules: what is drawn from a seed, and what several processes make of it."""

import math
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import Rate, Stage, arrivals, count, parse_rate, parse_stages, shared, users_at
from streamgauge.units import MS, SECOND

MINUTE = 60 * SECOND

rates = st.builds(Rate, st.floats(0.5, 200), st.sampled_from([0.0, 0.3, 1.0, 2.5]))
lengths = st.integers(SECOND, 20 * SECOND)
seeds = st.integers(0, 2**63 - 1)


def gaps(rate: Rate, length_ns: int, seed: int) -> list[int]:
    times = [arrival.at_ns for arrival in arrivals(rate, length_ns, seed)]
    return [after - before for before, after in pairwise(times)]


def kolmogorov_smirnov(values: Iterable[float], mean_value: float) -> float:
    """The asymptotic p that `values` are exponential with that mean (Stephens' correction for the sample's size)."""
    ordered = sorted(values)
    size = len(ordered)
    distance = 0.0
    for rank, value in enumerate(ordered):
        expected = 1 - math.exp(-value / mean_value)
        distance = max(distance, (rank + 1) / size - expected, expected - rank / size)
    scaled = (math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)) * distance
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)))


@pytest.mark.parametrize("seed", range(5))
def test_gaps_of_a_poisson_schedule_are_exponential(seed: int) -> None:
    assert kolmogorov_smirnov(gaps(Rate(200), 30 * SECOND, seed), SECOND / 200) > 0.01


@pytest.mark.parametrize("cv", [0.0, 0.7, 1.5])
def test_the_test_of_the_gaps_refuses_other_distributions(cv: float) -> None:
    assert kolmogorov_smirnov(gaps(Rate(200, cv), 30 * SECOND, 1), SECOND / 200) < 0.001


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.5])
def test_gaps_have_the_coefficient_of_variation_asked_for(cv: float) -> None:
    drawn = gaps(Rate(500, cv), 60 * SECOND, 3)
    assert stdev(drawn) / mean(drawn) == pytest.approx(cv, rel=0.1)


def test_constant_arrivals_are_equally_far_apart() -> None:
    assert [arrival.at_ns for arrival in arrivals(Rate(4, 0), SECOND, 1)] == [0, 250 * MS, 500 * MS, 750 * MS]


@given(rates, lengths, seeds)
def test_a_schedule_is_in_order_within_the_run_and_has_exactly_its_rate(rate: Rate, length_ns: int, seed: int) -> None:
    drawn = list(arrivals(rate, length_ns, seed))
    times = [arrival.at_ns for arrival in drawn]
    assert len(drawn) == count(rate, length_ns)
    assert [arrival.number for arrival in drawn] == list(range(len(drawn)))
    assert times == sorted(times)
    assert all(0 <= at <= length_ns for at in times)


@given(rates, lengths, seeds, st.integers(1, 5))
def test_processes_share_one_schedule(rate: Rate, length_ns: int, seed: int, workers: int) -> None:
    parts = [list(shared(arrivals(rate, length_ns, seed), worker, workers)) for worker in range(workers)]
    assert sorted(arrival for part in parts for arrival in part) == list(arrivals(rate, length_ns, seed))


def test_the_seed_decides() -> None:
    assert gaps(Rate(50), MINUTE, 1) == gaps(Rate(50), MINUTE, 1)
    assert gaps(Rate(50), MINUTE, 1) != gaps(Rate(50), MINUTE, 2)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("20/s", "poisson", Rate(20)),
        ("600/min", "constant", Rate(10, 0)),
        (" 90/m ", "gamma:2.5", Rate(1.5, 2.5)),
        ("5/h", "gamma:1", Rate(5 / 3600)),
    ],
)
def test_a_rate_is_read(text: str, kind: str, expected: Rate) -> None:
    assert parse_rate(text, kind) == expected


@pytest.mark.parametrize("text", ["", "20", "20/sec", "-1/s", "0/s", "1e3/s", "20/s/s", "999999/s", "²/s", "nan/s"])
def test_what_is_no_rate_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rate(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["", "uniform", "gamma", "gamma:", "gamma:0", "gamma:-1", "gamma:101", "gamma:nan"])
def test_what_is_no_kind_of_arrivals_is_a_usage_error(kind: str) -> None:
    with pytest.raises(UsageError, match="--arrivals"):
        parse_rate("1/s", kind)


def test_stages_follow_each_other() -> None:
    stages = parse_stages("50:30s, 200:1m")
    assert stages == (Stage(50, 30 * SECOND), Stage(200, MINUTE))
    assert users_at(stages, 0) == users_at(stages, 30 * SECOND - 1) == 50
    assert users_at(stages, 30 * SECOND) == users_at(stages, 90 * SECOND - 1) == 200
    assert users_at(stages, 90 * SECOND) is None


@pytest.mark.parametrize(
    "text", ["", "50", "50:", ":30s", "50:30", "0:30s", "50:0s", "50:30s,", "x:30s", "-1:3s", "9999999:1s", "1:200h"]
)
def test_what_are_no_stages_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_stages(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_rate, parse_stages, lambda text: parse_rate("1/s", text)):
        with suppress(UsageError):
            parse(text)
