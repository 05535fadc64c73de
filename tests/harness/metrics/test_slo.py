"""Objectives: their grammar, and their verdicts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.metrics.condition import OBJECTIVES, Condition
from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.metric import Unit
from streamgauge.metrics.slo import Fate, Measured, SloVerdict, fate_of, is_per_stream, judge_slo, parse_slo
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND
from tests.builders.made import made

LATENCIES = [name for name, metric in OBJECTIVES.items() if metric.unit is Unit.DURATION]
RATES = [name for name, metric in OBJECTIVES.items() if metric.unit is Unit.PER_SECOND]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft p95 < 500ms", Condition("ttft", "p95", 500 * MS)),
        ("ttft<1.5s", Condition("ttft", None, 1_500 * MS)),
        ("ttft p99.9 <= 1s", Condition("ttft", "p99.9", SECOND, "<=")),
        ("  itl max<80ms ", Condition("itl", "max", 80 * MS)),
        ("itl p99 < 80 ms", Condition("itl", "p99", 80 * MS)),
        ("e2e mean < 2m", Condition("e2e", "mean", 120 * SECOND)),
        ("error_rate < 1%", Condition("error_rate", None, 0.01)),
        ("error_rate < 0.5 %", Condition("error_rate", None, 0.005)),
        ("error_rate <= 0.05", Condition("error_rate", None, 0.05, "<=")),
        ("goodput > 95%", Condition("goodput", None, 0.95, ">")),
        ("output_tokens_per_s >= 1000", Condition("output_tokens_per_s", None, 1000, ">=")),
        ("streams_per_s > 0.5", Condition("streams_per_s", None, 0.5, ">")),
    ],
)
def test_an_objective_is_read(text: str, expected: Condition) -> None:
    assert parse_slo(text) == expected


@pytest.mark.parametrize(
    ("text", "character", "expected", "got"),
    [
        ("", 1, "the name of a metric", "the end"),
        ("latency < 5ms", 1, "the name of a metric", "'latency'"),
        ("  ttftp95 < 5ms", 3, "the name of a metric", "'ttftp95'"),
        ("ttft", 5, "< or <=", "the end"),
        ("ttft > 5ms", 6, "< or <=", "'>'"),
        ("ttft =< 5ms", 6, "< or <=", "'=<'"),
        ("ttft p95 500ms", 10, "< or <=", "'500ms'"),
        ("ttft p100 < 5ms", 6, "a percentile", "'p100'"),
        ("ttft p0 < 5ms", 6, "a percentile", "'p0'"),
        ("ttft p < 5ms", 6, "a percentile", "'p'"),
        ("ttft median < 5ms", 6, "a percentile", "'median'"),
        ("ttft p95 <", 11, "a duration", "the end"),
        ("ttft < 5", 8, "a duration", "'5'"),
        ("ttft < 5%", 8, "a duration", "'5%'"),
        ("ttft p95 < 5ms and more", 16, "nothing more", "'and'"),
        ("ttft < 5 6ms", 8, "a duration", "'5'"),
        ("ttft < 200h", 8, "at most a week", "'200h'"),
        ("ttft p95 < 5ms for 10s", 16, "nothing more", "'for'"),
        ("connect < 5ms", 1, "the name of a metric", "'connect'"),
        ("error_rate p95 < 1%", 12, "< or <=", "'p95'"),
        ("error_rate > 1%", 12, "< or <=", "'>'"),
        ("error_rate < 1", 14, "a percentage", "'1'"),
        ("error_rate < 5ms", 14, "a percentage", "'5ms'"),
        ("error_rate < -1%", 14, "a percentage", "'-1%'"),
        ("error_rate < 101%", 14, "a percentage", "'101%'"),
        ("error_rate < ²%", 14, "a percentage", "'²%'"),
        ("error_rate < 1%%", 14, "a percentage", "'1%%'"),
        ("goodput < 95%", 9, "> or >=", "'<'"),
        ("output_tokens_per_s > 1e3", 23, "a number", "'1e3'"),
        ("output_tokens_per_s > 5%", 23, "a number", "'5%'"),
    ],
)
def test_an_error_points_at_the_first_character_that_does_not_fit(
    text: str, character: int, expected: str, got: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slo(text)
    message = caught.value.message
    assert message.startswith(f"SLO {text!r}, character {character}: expected ")
    assert expected in message
    assert message.endswith(f"got {got}")
    assert "ttft p95 < 500ms" in (caught.value.hint or "")


@given(st.one_of(st.text(max_size=30), st.text("ttfpgoodu0159.%<>= ms", max_size=20)))
def test_any_text_is_an_objective_or_a_usage_error(text: str) -> None:
    try:
        slo = parse_slo(text)
    except UsageError:
        return
    assert parse_slo(str(slo)) == slo


LIMITS = st.one_of(
    st.tuples(st.sampled_from(LATENCIES), st.sampled_from(["", " p95", " p99.99", " mean", " max"]),
              st.sampled_from(["<", "<="]), st.integers(1, 10**12).map(lambda ns: f"{ns}ns")),
    st.tuples(st.just("error_rate"), st.just(""), st.just("<"), st.integers(0, 1000).map(lambda n: f"{n / 10}%")),
    st.tuples(st.sampled_from(RATES), st.just(""), st.sampled_from([">", ">="]), st.integers(0, 10**9).map(str)),
)  # fmt: skip


@given(LIMITS)
def test_a_printed_objective_can_be_read_back(parts: tuple[str, str, str, str]) -> None:
    metric, statistic, comparison, limit = parts
    slo = parse_slo(f"{metric}{statistic} {comparison} {limit}")
    again = parse_slo(str(slo))
    assert again._replace(limit=0) == slo._replace(limit=0)
    assert again.limit == pytest.approx(slo.limit, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "below", "at", "above"),
    [
        ("ttft < 5ms", True, False, False),
        ("ttft <= 5ms", True, True, False),
        ("goodput > 50%", False, False, True),
        ("goodput >= 50%", False, True, True),
    ],
)
def test_the_limit_itself_is_in_or_out_as_written(text: str, below: bool, at: bool, above: bool) -> None:
    slo = parse_slo(text)
    step = slo.limit / 1000
    assert [slo.holds(slo.limit + change) for change in (-step, 0, step)] == [below, at, above]


def fate(slo: Condition, record: StreamRecord) -> Fate:
    return fate_of(StreamFacts(record), [slo])[0]


def test_a_stream_without_the_value_misses_the_objective() -> None:
    slo = parse_slo("tpot < 5ms")
    assert fate(slo, made(10, 14)) is Fate.GOOD
    assert fate(slo, made(10)) is Fate.BAD
    assert fate(slo, made()) is Fate.BAD


def test_a_stream_meets_an_itl_objective_when_its_longest_gap_does() -> None:
    slo = parse_slo("itl <= 5ms")
    assert fate(slo, made(10, 14, 19)) is Fate.GOOD
    assert fate(slo, made(10, 14, 20)) is Fate.BAD


def test_goodput_judges_a_stream_by_latencies_only() -> None:
    assert {name for name in OBJECTIVES if is_per_stream(Condition(name, None, 1))} == set(LATENCIES)


@pytest.mark.parametrize("outcome", [Outcome.INCOMPLETE, Outcome.CANCELLED])
def test_a_wait_that_was_cut_misses_what_it_had_already_exceeded_and_leaves_the_rest_open(outcome: Outcome) -> None:
    slo = parse_slo("ttft < 500ms")
    assert fate_of(StreamFacts(made(outcome=outcome, closed_ms=800)), [slo]) == (Fate.BAD, 500 * MS)
    assert fate_of(StreamFacts(made(outcome=outcome, closed_ms=300)), [slo]) == (Fate.OPEN, 300 * MS)
    assert fate(slo, made(100, 200, outcome=outcome)) is Fate.OPEN, "its end could still have been a failure"
    assert fate(slo, made(600, 700, outcome=outcome)) is Fate.BAD
    assert fate(parse_slo("e2e < 1s"), made(100, outcome=outcome, closed_ms=2_000)) is Fate.BAD
    assert fate(parse_slo("itl < 50ms"), made(100, 200, outcome=outcome)) is Fate.BAD, "a longer gap cannot undo it"
    assert fate(parse_slo("tpot < 50ms"), made(100, 200, outcome=outcome)) is Fate.OPEN, "later tokens could be faster"
    assert fate(parse_slo("ttst < 1s"), made(100, outcome=outcome, closed_ms=2_000)) is Fate.BAD


def test_a_failed_stream_is_bad_and_known_at_its_end() -> None:
    slo = parse_slo("ttft < 500ms")
    assert fate_of(StreamFacts(made(100, 200, outcome=Outcome.ERROR_EVENT)), [slo]) == (Fate.BAD, 200 * MS)
    assert fate_of(StreamFacts(made(100, 200)), []) == (Fate.GOOD, 200 * MS)


def test_no_data_is_undecided_and_not_met() -> None:
    found = judge_slo(parse_slo("ttft p95 < 1h"), None)
    assert (found.verdict, found.measured) == (SloVerdict.UNDECIDED, None)
    assert "no data" in (found.reason or "")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "reason"),
    [
        (100, 400, SloVerdict.MET, None),
        (600, 900, SloVerdict.MISSED, None),
        (400, 600, SloVerdict.UNDECIDED, "why"),
        (400, math.inf, SloVerdict.UNDECIDED, "why"),
        (500, math.inf, SloVerdict.MISSED, None),
    ],
)
def test_an_objective_is_decided_where_the_whole_interval_agrees(
    low: float, high: float, verdict: SloVerdict, reason: str | None
) -> None:
    found = judge_slo(parse_slo("ttft p95 < 500ms"), Measured(low * MS, high * MS, "shown", "why"))
    assert (found.verdict, found.measured, found.reason) == (verdict, "shown", reason)


def test_a_client_that_could_have_distorted_every_figure_meets_nothing() -> None:
    slo = parse_slo("ttft p95 < 500ms")
    near = judge_slo(slo, Measured(400 * MS, 400 * MS, "400ms"), doubt="the figures are INVALID")
    assert (near.verdict, near.reason) == (SloVerdict.UNDECIDED, "the figures are INVALID")
    far = judge_slo(slo, Measured(800 * MS, 900 * MS, "900ms"), doubt="the figures are INVALID")
    assert far.verdict is SloVerdict.MISSED, "its error cannot have made the difference"


@given(
    st.sampled_from(["ttft < 5ms", "ttft <= 5ms", "streams_per_s > 5", "streams_per_s >= 5"]), st.integers(-4999, 4999)
)
def test_rounding_never_moves_a_measured_value_across_the_limit(text: str, off: int) -> None:
    slo = parse_slo(text)
    value = slo.limit + off * (1 if slo.metric == "ttft" else 0.001)
    found = judge_slo(slo, Measured(value, value, slo.show_measured(value)))
    shown = parse_slo(f"{slo.metric} {slo.op} {found.measured}").limit
    assert slo.holds(shown) is (found.verdict is SloVerdict.MET)
