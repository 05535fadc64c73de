"""Seconds or milliseconds: the same numbers under the same names, told apart by evidence or refused."""

import json

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.controls import TraceControls, controls_from
from streamgauge.loadgen.traces.reading import parse_trace
from streamgauge.loadgen.traces.time_unit import show_rate, show_span
from streamgauge.loadgen.traces.timetable import arrivals_of
from streamgauge.units import SECOND

MOONCAKE = {"input_length": 5, "hash_ids": [1]}
LENGTHS = {"input_length": 5, "output_length": 5}
BAILIAN = {"chat_id": 1, "parent_chat_id": -1, "input_length": 5}
OWN = {"prompt_tokens": 5}


def span_s(times: list[float], fields: dict[str, object], controls: TraceControls | None = None) -> float:
    controls = controls or TraceControls()
    lines = [json.dumps({"timestamp": at, **fields}) for at in times]
    return arrivals_of(parse_trace(lines, "t.jsonl", controls), controls, "t.jsonl")[-1].at_ns / SECOND


@pytest.mark.parametrize(
    ("times", "fields", "seconds"),
    [
        ([61.114, 62.5], BAILIAN, 1.386),
        ([0.0, 1.5], LENGTHS, 1.5),
        ([0, 1, 2, 3], LENGTHS, 3),
        ([0, 3000, 6052], LENGTHS, 6.052),
        ([0, 27482, 30535], MOONCAKE, 30.535),
        ([0, 105, 274], MOONCAKE, 0.274),
        ([100, 102, 109], OWN, 9),
        ([0, 0.002, 0.004], OWN, 0.004),  # 500/s: unusual in every unit, so the documented one holds
        ([5, 5], MOONCAKE, 0),
        ([1_700_000_000, 1_700_000_090], OWN, 90),
        ([1_700_000_000_000, 1_700_000_090_000], OWN, 90),
        ([1_700_000_000_000_000, 1_700_000_090_000_000], LENGTHS, 90),
        ([1_700_000_000_000_000_000, 1_700_000_090_000_000_000], MOONCAKE, 90),
        ([1_700_000_000_000, 1_700_000_000_250], MOONCAKE, 0.25),
    ],
)
def test_the_unit_follows_from_format_and_values(times: list[float], fields: dict[str, object], seconds: float) -> None:
    assert span_s(times, fields) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("times", "fields", "units"),
    [
        ([0, 20, 40], LENGTHS, ("s", "ms")),  # 0.05/s or 50/s
        ([0, 20.5, 40], MOONCAKE, ("s", "ms")),  # fractions of a millisecond?
        ([0, 1, 2, 3], MOONCAKE, ("s", "ms")),  # Mooncake says 1,000/s, and 1/s would be usual
        ([0, 3000, 6000], OWN, ("s", "ms")),  # our seconds say one in 50 minutes, and 0.33/s would be usual
        ([0, 1_000_000_000, 2_000_000_000], OWN, ("s", "ms", "ns")),
        ([0, 600_000.25, 900_000], LENGTHS, ("s", "ms")),
        ([1_700_000_000_000, 1_700_000_001_000], BAILIAN, ("s", "ms")),
    ],
)
def test_evidence_that_contradicts_itself_is_refused_with_the_readings(
    times: list[float], fields: dict[str, object], units: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match=r"t\.jsonl: the unit of the timestamps") as caught:
        span_s(times, fields)

    words = {"s": "as seconds", "ms": "as milliseconds", "ns": "as nanoseconds"}
    assert all(words[unit] in caught.value.message for unit in units)
    assert all(f"--time-unit {unit}" in str(caught.value.hint) for unit in units)
    assert span_s(times, fields, controls_from(time_unit="ms")) == (times[-1] - times[0]) / 1000


def test_a_time_that_no_clock_can_show_is_refused() -> None:
    with pytest.raises(UsageError, match="timestamp 1e\\+12 is later than any clock can show"):
        span_s([0, 10**12], OWN, controls_from(time_unit="s"))


def test_the_option_decides_over_everything_but_dates() -> None:
    assert span_s([61.114, 62.5], BAILIAN, controls_from(time_unit="ms")) == pytest.approx(0.001386)
    assert span_s([1, 3], OWN, controls_from(time_unit="60")) == 120
    assert span_s([1, 3], OWN, controls_from(time_unit="us")) == pytest.approx(2e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.274, "0.27 s"), (42.4, "42 s"), (3540, "59 min"), (27_000, "7.5 h"), (10_454_400, "121 days")],
)
def test_a_span_is_shown_for_people(seconds: float, text: str) -> None:
    assert show_span(seconds) == text


@pytest.mark.parametrize(
    ("per_s", "text"), [(0.9, "0.9/s"), (12.3, "12/s"), (1234, "1,234/s"), (0.01, "0.6/min"), (0.0003, "1.1/h")]
)
def test_a_rate_is_shown_for_people(per_s: float, text: str) -> None:
    assert show_rate(per_s) == text
