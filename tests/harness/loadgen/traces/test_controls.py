"""The options of a replay as text."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.controls import TraceControls, controls_from
from streamgauge.units import MS, SECOND


def test_all_options_are_read_and_travel_to_other_processes() -> None:
    controls = controls_from(
        time_unit="ms", trace_format="Mooncake", trace_columns="timestamp = At, hash_ids=chunks", block_tokens=16,
        time_scale="0.5", trace_window="10s..20m", max_gap="30s", max_prompt_tokens=5, max_output_tokens=6,
        turns="waiting", session_header="X-Session-Affinity",
    )  # fmt: skip
    assert controls == TraceControls(
        unit_ns=MS, format="mooncake", columns={"timestamp": "at", "hash_ids": "chunks"}, block_tokens=16, scale=0.5,
        from_ns=10 * SECOND, until_ns=1200 * SECOND, max_gap_ns=30 * SECOND, max_prompt_tokens=5, max_output_tokens=6,
        closed=True, session_header="X-Session-Affinity",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(controls), type=TraceControls) == controls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_unit": "min"}, "--time-unit 'min' is not a unit"),
        ({"time_unit": "0"}, "--time-unit '0' is not a unit"),
        ({"time_unit": "-1"}, "--time-unit '-1' is not a unit"),
        ({"time_scale": "0"}, "--time-scale '0' is not a factor"),
        ({"time_scale": "2x"}, "--time-scale '2x' is not a factor"),
        ({"time_scale": "1e9"}, "--time-scale '1e9' is not a factor"),
        ({"trace_window": "5m"}, "--trace-window '5m' is not a window"),
        ({"trace_window": ".."}, "--trace-window '..' is not a window"),
        ({"trace_window": "5m..2m"}, "--trace-window '5m..2m' ends before it begins"),
        ({"trace_window": "5..6"}, "--trace-window '5..6': '5' is not a duration"),
        ({"max_gap": "5"}, "--max-gap '5' is not a duration"),
        ({"trace_columns": "when=at"}, "--trace-columns 'when=at': 'when=at' cannot be used"),
        ({"trace_columns": "timestamp=a,timestamp=b"}, "'timestamp=b' cannot be used"),
        ({"trace_columns": "timestamp"}, "'timestamp' cannot be used"),
        ({"trace_format": "sharegpt4"}, "--trace-format 'sharegpt4' is not known"),
        ({"turns": "closed"}, "--turns 'closed' is not known"),
        ({"session_header": "X: y"}, "--session-header 'X: y' is not the name of a header field"),
        ({"block_tokens": 0}, "--block-tokens 0 is out of range"),
        ({"max_output_tokens": 10**9}, "--max-output-tokens 1000000000 is out of range"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        controls_from(**options)
    assert message in caught.value.message
    assert caught.value.hint


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("time_unit", "trace_format", "trace_columns", "time_scale", "trace_window", "max_gap", "turns"):
        with suppress(UsageError):
            controls_from(**{name: text})  # type: ignore[misc]
