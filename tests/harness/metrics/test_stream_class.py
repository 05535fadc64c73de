"""Objectives for a class of streams: their grammar, and the streams that decide them."""

import msgspec
import pytest

from streamgauge.errors import UsageError
from streamgauge.metrics.abort_rules import AbortWatch, parse_abort
from streamgauge.metrics.slo import NOT_IN_CLASS, SloResult, SloVerdict, parse_slo
from streamgauge.metrics.stream_class import Bound
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import SECOND
from tests.builders.made import made
from tests.builders.tapes import START_NS

SHORT, LONG = 500, 20_000


def asking(prompt: int | None, *token_ms: float, turn: int | None = None, **more: object) -> StreamRecord:
    return msgspec.structs.replace(made(*token_ms, **more), asked_prompt_tokens=prompt, turn=turn)  # type: ignore[arg-type]


def mix(*slos: str, short: int = 100, long: int = 100) -> list[SloResult]:
    """Streams with short prompts have a TTFT of about 100 ms, those with long ones of about 900 ms."""
    totals = Totals(map(parse_slo, slos))
    for number in range(max(short, long)):
        if number < short:
            totals.add(asking(SHORT, 100 + number * 7 % 10, 200, start_ms=20 * number))
        if number < long:
            totals.add(asking(LONG, 900 + number * 7 % 10, 1_000, start_ms=20 * number + 10))
    return totals.summary().slo_results


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("ttft p95 < 1s where prompt <= 1k", [Bound("prompt", "<=", 1_000)]),
        ("ttft p95 < 1s where prompt<=1.5k", [Bound("prompt", "<=", 1_500)]),
        ("ttft < 1s where turn > 1", [Bound("turn", ">", 1)]),
        ("goodput > 95% where turn = 1", [Bound("turn", "=", 1)]),
        ("error_rate < 5 % where output >= 100", [Bound("output", ">=", 100)]),
        ("itl p99 < 80 ms where prompt > 1k and turn <= 8", [Bound("prompt", ">", 1_000), Bound("turn", "<=", 8)]),
    ],
)  # fmt: skip
def test_a_class_is_read_and_can_be_read_back(text: str, where: list[Bound]) -> None:
    slo = parse_slo(text)
    assert list(slo.where) == where
    assert parse_slo(str(slo)) == slo


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("ttft < 1s where", 16, "prompt or output or turn"),
        ("ttft < 1s where model = 5", 17, "prompt or output or turn"),
        ("ttft < 1s where prompt", 23, "< or <= or > or >= or ="),
        ("ttft < 1s where prompt <= many", 27, "a whole number"),
        ("ttft < 1s where prompt <= 1.5", 27, "a whole number"),
        ("ttft < 1s where prompt <= 1k or turn > 1", 30, "nothing more"),
        ("ttft < 1s where prompt <= 1k and", 33, "prompt or output or turn"),
        ("output_tokens_per_s > 5 where turn > 1", 25, "nothing more, because output_tokens_per_s has no classes"),
    ],
)
def test_an_error_in_a_class_points_at_the_first_character_that_does_not_fit(
    text: str, character: int, expected: str
) -> None:
    with pytest.raises(UsageError) as error:
        parse_slo(text)
    assert f"character {character}: expected {expected}" in error.value.message


def test_only_the_streams_of_the_class_decide() -> None:
    found = mix(
        "ttft p95 < 500ms where prompt <= 1k", "ttft p95 < 500ms where prompt > 1k", "ttft p95 < 1s where prompt > 1k"
    )
    assert [(result.verdict, result.streams, result.measured) for result in found] == [
        (SloVerdict.MET, 100, "109ms"),
        (SloVerdict.MISSED, 100, "909ms"),
        (SloVerdict.MET, 100, "909ms"),
    ]
    assert str(found[0].slo) == "ttft p95 < 500ms where prompt <= 1k"


def test_the_needed_streams_are_those_of_the_class() -> None:
    found = mix("ttft p95 < 110ms where prompt <= 1k", short=30, long=400)[0]
    assert (found.verdict, found.streams, found.needed) == (SloVerdict.UNDECIDED, 30, 59)
    assert found.reason == "30 streams of this class are too few: 59 without a miss would decide it"


def test_a_class_without_a_stream_is_undecided_and_says_so() -> None:
    assert [(found.verdict, found.reason) for found in mix("ttft p95 < 1s where turn > 1")] == [
        (SloVerdict.UNDECIDED, NOT_IN_CLASS)
    ]


def test_a_stream_is_good_when_it_meets_the_objectives_of_its_class() -> None:
    slos = ["ttft < 500ms where prompt <= 1k", "ttft < 2s where prompt > 1k", "goodput > 90%"]
    assert [found.verdict for found in mix(*slos)] == [SloVerdict.MET] * 3
    by_class = ["goodput > 90% where prompt <= 1k", "goodput > 90% where prompt > 1k"]
    for_all = mix("ttft < 500ms", "goodput > 40%", *by_class)
    assert [found.measured for found in for_all[1:]] == ["50%", "100%", "0%"]


def test_the_error_rate_of_a_class_counts_its_failures_only() -> None:
    totals = Totals(map(parse_slo, ("error_rate < 10% where turn > 1", "error_rate < 10% where turn = 1")))
    for number in range(200):
        outcome = Outcome.TRUNCATED if number % 2 else Outcome.OK
        totals.add(asking(SHORT, 10, 20, turn=1, start_ms=number))
        totals.add(asking(SHORT, 10, 20, turn=2, start_ms=number, outcome=outcome))
    assert [found.measured for found in totals.summary().slo_results] == ["50%", "0%"]
    assert [found.verdict for found in totals.summary().slo_results] == [SloVerdict.MISSED, SloVerdict.MET]


def test_a_percentile_of_gaps_is_one_of_the_class() -> None:
    totals = Totals(map(parse_slo, ("itl p95 < 50ms where prompt <= 1k", "itl p95 < 50ms where prompt > 1k")))
    for number in range(80):
        totals.add(asking(SHORT, *range(100, 300, 20), start_ms=number))
        totals.add(asking(LONG, *range(100, 1_100, 100), start_ms=number))
    assert [found.verdict for found in totals.summary().slo_results] == [SloVerdict.MET, SloVerdict.MISSED]


def test_a_limit_that_stops_a_run_can_be_one_of_a_class() -> None:
    rule = parse_abort("ttft p95 > 500ms where prompt <= 1k for 1s")
    assert str(rule) == "ttft p95 > 500ms where prompt <= 1k for 1s"
    watch = AbortWatch(rule)
    for number in range(40):
        watch.add(asking(LONG, 900, 1_000, start_ms=100 * number))
    assert watch.tripped(START_NS + 4 * SECOND) is None
    for number in range(40):
        watch.add(asking(SHORT, 900, 1_000, start_ms=100 * number))
    assert watch.tripped(START_NS + 4 * SECOND) is not None
