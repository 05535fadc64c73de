"""Objectives as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.slo import METRIC_NAMES, Slo, parse_slo
from harness.units import MS, SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft p95 < 500ms", Slo("ttft", "p95", 500 * MS)),
        ("ttft<1.5s", Slo("ttft", None, 1_500 * MS)),
        ("  itl max<80ms ", Slo("itl", "max", 80 * MS)),
        ("e2e mean < 2m", Slo("e2e", "mean", 120 * SECOND)),
        ("error_rate < 1%", Slo("error_rate", None, 0.01)),
        ("error_rate < 0.5%", Slo("error_rate", None, 0.005)),
        ("error_rate < 0.05", Slo("error_rate", None, 0.05)),
    ],
)
def test_an_objective_is_read(text: str, expected: Slo) -> None:
    assert parse_slo(text) == expected


@pytest.mark.parametrize("name", [name for name in METRIC_NAMES if name != "error_rate"])
def test_every_latency_metric_can_be_an_objective(name: str) -> None:
    assert parse_slo(f"{name} p50 < 1ms") == Slo(name, "p50", MS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("ttft", "cannot be read"),
        ("ttft > 5ms", "cannot be read"),
        ("ttft <= 5ms", "cannot be read"),
        ("ttft p96 < 5ms", "cannot be read"),
        ("ttft p95 < 5ms and more", "cannot be read"),
        ("latency < 5ms", "unknown metric 'latency'"),
        ("ttftp95 < 5ms", "unknown metric 'ttftp95'"),
        ("ttft < 5", "not a duration"),
        ("ttft < 5%", "not a duration"),
        ("error_rate p95 < 1%", "takes a percentage"),
        ("error_rate < 5ms", "takes a percentage"),
        ("error_rate < -1%", "takes a percentage"),
        ("error_rate < .", "takes a percentage"),
        ("error_rate < ²%", "takes a percentage"),
        ("error_rate < %", "takes a percentage"),
        ("error_rate < 1%%", "takes a percentage"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error_that_quotes_it_and_helps(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_slo(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint


def test_a_stream_meets_an_objective_below_the_limit_only() -> None:
    slo = parse_slo("ttft < 5ms")
    assert slo.met_by({"ttft": 5 * MS - 1})
    assert not slo.met_by({"ttft": 5 * MS})


def test_a_stream_without_the_value_misses_the_objective() -> None:
    slo = parse_slo("tpot < 5ms")
    assert not slo.met_by({"tpot": None})
    assert not slo.met_by({})


@given(
    st.sampled_from([name for name in METRIC_NAMES if name != "error_rate"]),
    st.sampled_from(["", " p95", " mean", " max"]),
    st.integers(1, 999_999),
)
def test_a_printed_objective_can_be_read_back(metric: str, percentile: str, limit_ms: int) -> None:
    slo = parse_slo(f"{metric}{percentile} < {limit_ms}ms")
    assert parse_slo(str(slo)) == slo


@given(st.integers(0, 1000))
def test_a_printed_error_rate_can_be_read_back(tenths: int) -> None:
    slo = parse_slo(f"error_rate < {tenths / 10}%")
    assert parse_slo(str(slo)).limit == pytest.approx(slo.limit)


def test_only_the_error_rate_needs_more_than_one_stream() -> None:
    assert parse_slo("ttft p95 < 1s").per_stream
    assert not parse_slo("error_rate < 1%").per_stream
