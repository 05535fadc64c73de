"""Rules that stop a run, over hand-made records and times."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.metrics.abort_rules import METRICS, AbortRule, AbortWatch, parse_abort
from streamgauge.metrics.condition import Condition
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.units import MS, SECOND
from tests.builders.tapes import START_NS


def ended(at_s: float, *token_ms: int, outcome: Outcome = Outcome.OK, warmup: bool = False) -> StreamRecord:
    """A stream that ended `at_s` after the run's start, with tokens at `token_ms` after its own start."""
    at = [ms * MS for ms in token_ms]
    last = at[-1] if at else 0
    return StreamRecord(
        schema=SCHEMA, id="s", outcome=outcome, method="GET", url="u", start_ns=START_NS + round(at_s * SECOND) - last,
        reads=Reads(at, [0] * len(at), [1] * len(at)), token_reads=list(range(len(at))), closed_ns=last, warmup=warmup,
    )  # fmt: skip


def tripped(rule: str, records: list[StreamRecord], at_s: float) -> str | None:
    watch = AbortWatch(parse_abort(rule))
    for record in records:
        watch.add(record)
    return watch.tripped(START_NS + round(at_s * SECOND))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft p95 > 2s for 10s", AbortRule(Condition("ttft", "p95", 2 * SECOND, ">"), 10 * SECOND)),
        ("ttft > 2s for 1ns1s", AbortRule(Condition("ttft", "p95", 2 * SECOND, ">"), SECOND + 1)),
        ("ttft>500ms", AbortRule(Condition("ttft", "p95", 500 * MS, ">"), 10 * SECOND)),
        (" itl p99.9 >= 1s for 1m ", AbortRule(Condition("itl", "p99.9", SECOND, ">="), 60 * SECOND)),
        ("ttft > 2 s for 2m30s", AbortRule(Condition("ttft", "p95", 2 * SECOND, ">"), 150 * SECOND)),
        ("error_rate > 20% for 30s", AbortRule(Condition("error_rate", None, 0.2, ">"), 30 * SECOND)),
        ("error_rate > 20 % for 30 s", AbortRule(Condition("error_rate", None, 0.2, ">"), 30 * SECOND)),
        ("error_rate>0%", AbortRule(Condition("error_rate", None, 0, ">"), 10 * SECOND)),
    ],
)
def test_a_rule_is_read_and_written(text: str, expected: AbortRule) -> None:
    assert parse_abort(text) == expected
    assert parse_abort(str(expected)) == expected


@pytest.mark.parametrize("name", [name for name in METRICS if name != "error_rate"])
@given(st.sampled_from(["mean", "p50", "p90", "p95", "p99", "max"]), st.integers(0, 10**6), st.integers(1, 10**6))
def test_every_rule_survives_being_written(name: str, statistic: str, limit_ms: int, window_ms: int) -> None:
    text = f"{name} {statistic} > {limit_ms}ms for {window_ms}ms"
    assert parse_abort(text) == AbortRule(Condition(name, statistic, limit_ms * MS, ">"), window_ms * MS)


@pytest.mark.parametrize(
    ("text", "character", "expected", "got"),
    [
        ("", 1, "the name of a metric", "the end"),
        ("latency > 2s", 1, "the name of a metric", "'latency'"),
        ("goodput > 2%", 1, "the name of a metric", "'goodput'"),
        ("ttft", 5, "> or >=", "the end"),
        ("ttft p95 < 2s", 10, "> or >=", "'<'"),
        ("ttft median > 2s", 6, "a percentile", "'median'"),
        ("ttft > 2", 8, "a duration", "'2'"),
        ("ttft > 2 for 10s", 8, "a duration", "'2'"),
        ("ttft > 5%", 8, "a duration", "'5%'"),
        ("ttft > 200h", 8, "at most a week", "'200h'"),
        ("ttft > 2s during 10s", 11, "for and a duration", "'during'"),
        ("ttft > 2s for", 14, "a duration", "the end"),
        ("ttft > 2s for 10", 15, "a duration", "'10'"),
        ("ttft > 2s for 0", 15, "a duration above 0", "'0'"),
        ("ttft > 2s for 10s please", 19, "nothing more", "'please'"),
        ("error_rate p95 > 1%", 12, "> or >=", "'p95'"),
        ("error_rate > 5ms", 14, "a percentage", "'5ms'"),
        ("error_rate > 101%", 14, "a percentage", "'101%'"),
        ("error_rate > ²%", 14, "a percentage", "'²%'"),
    ],
)
def test_an_error_points_at_the_first_character_that_does_not_fit(
    text: str, character: int, expected: str, got: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_abort(text)
    message = caught.value.message
    assert message.startswith(f"--abort-if {text!r}, character {character}: expected ")
    assert expected in message
    assert message.endswith(f"got {got}")
    assert "ttft p95 > 2s for 10s" in (caught.value.hint or "")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for written in (text, f"ttft > {text}", f"ttft p95 > 2s for {text}", f"error_rate > {text}"):
        with suppress(UsageError):
            parse_abort(written)


SLOW = [ended(second, 3_000) for second in range(1, 21)]


def test_a_rule_trips_when_a_whole_window_has_passed() -> None:
    assert tripped("ttft p95 > 2s for 10s", SLOW[:10], 10.9) is None
    reason = tripped("ttft p95 > 2s for 10s", SLOW[:11], 11.0)
    assert reason == "ttft p95 > 2000ms for 10s (it was 3000 ms over 11 streams)"


def test_a_value_at_the_limit_or_below_does_not_trip() -> None:
    assert tripped("ttft p95 > 3s for 10s", SLOW, 20) is None


def test_only_the_window_counts() -> None:
    recovered = [*SLOW, *(ended(21 + second, 10) for second in range(10))]
    assert tripped("ttft max > 2s for 5s", SLOW, 20) is not None
    assert tripped("ttft max > 2s for 5s", recovered, 30) is None


def test_a_window_without_a_stream_does_not_trip() -> None:
    assert tripped("ttft max > 2s for 5s", SLOW, 60) is None
    assert tripped("error_rate > 0%", [], 60) is None


def test_the_error_rate_is_of_the_streams_that_ended_by_themselves() -> None:
    good = [ended(second, 10) for second in range(1, 12)]
    bad = [ended(11, outcome=Outcome.HTTP_ERROR), ended(11, outcome=Outcome.TRUNCATED)]
    ours = [ended(11, 10, outcome=outcome) for outcome in (Outcome.CANCELLED, Outcome.INCOMPLETE)]
    assert tripped("error_rate > 15% for 10s", good + bad + ours, 11) is not None
    assert tripped("error_rate > 16% for 10s", good + bad + ours, 11) is None


def test_the_warm_up_is_not_judged() -> None:
    cold = [ended(second, 9_000, warmup=True) for second in range(1, 12)]
    assert tripped("ttft p95 > 2s for 5s", cold, 12) is None


def test_itl_is_pooled_over_the_window() -> None:
    smooth = [ended(second, 10, 20, 30, 40, 50) for second in range(1, 12)]
    stalled = [*smooth, ended(11, 10, 3_010)]
    assert tripped("itl max > 1s for 5s", smooth, 12) is None
    assert tripped("itl max > 1s for 5s", stalled, 12) is not None
    assert tripped("itl p50 > 1s for 5s", stalled, 12) is None
