"""Ten rows of each format, written for these tests: their arrivals, lengths, sessions and cancellations."""

import json
from pathlib import Path

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.schedule import Arrival
from streamgauge.loadgen.traces.controls import TraceControls, controls_from
from streamgauge.loadgen.traces.files import read_trace
from streamgauge.loadgen.traces.reading import Trace
from streamgauge.loadgen.traces.request import Blocks
from streamgauge.loadgen.traces.timetable import arrivals_of
from streamgauge.loadgen.traces.understood import understood
from streamgauge.units import MS

SAMPLES = Path(__file__).parent / "samples"
VLLM = controls_from(
    trace_columns="timestamp=arrived_at,prompt_tokens=num_prefill_tokens,output_tokens=num_decode_tokens,"
    "hash_ids=chunks"
)


def sample(name: str, controls: TraceControls | None = None) -> tuple[Trace, list[Arrival]]:
    controls = controls or TraceControls()
    trace = read_trace(SAMPLES / name, controls)
    return trace, arrivals_of(trace, controls, name)


def lengths(arrivals: list[Arrival]) -> list[tuple[int | None, int | None]]:
    return [(arrival.prompt_tokens, arrival.output_tokens) for arrival in arrivals]


MOONCAKE_MS = [0, 3000, 3000, 6052, 9000, 12000, 15000, 18000, 18000, 27482]
BAILIAN_MS = [0, 86, 1386, 1886, 8886, 29136, 29886, 34386, 38886, 60000]
AZURE_2023_US = [0, 51996, 98189, 848079, 1120040, 2520040, 7015209, 7020040, 10000000, 10000000]
AZURE_2024_US = [0, 7405, 12384, 27915, 990070, 2000000, 3000000, 4000000, 5000000, 6000000]


@pytest.mark.parametrize(
    ("name", "controls", "at_us", "unit"),
    [
        ("mooncake.jsonl", None, [at * 1000 for at in MOONCAKE_MS], "timestamps read as milliseconds"),
        ("aiperf.jsonl", None, [at * 1000 for at in (0, 1000, 3000, 4000, 5000, 6105, 7000, 9000)],
         "timestamps read as milliseconds"),
        ("bailian.jsonl", None, [at * 1000 for at in BAILIAN_MS], "timestamps read as seconds"),
        ("weka.json", None, [at * 1000 for at in (0, 5500, 12500, 15000, 20000, 25000, 30000, 40000, 50000, 600000)],
         "timestamps read as seconds"),
        ("burstgpt.csv", None, [at * 1_000_000 for at in (0, 40, 113, 180, 209, 214, 214, 375, 376, 895)],
         "timestamps read as seconds"),
        ("azure.csv", None, AZURE_2023_US, "timestamps read as dates"),
        ("azure-2024.csv", None, AZURE_2024_US, "timestamps read as dates"),
        ("baseten.csv", None, [at * 1000 for at in (0, 1500, 2000, 2000, 3000, 4000, 5000, 6000, 7000, 10000)],
         "timestamps read as milliseconds"),
        ("guidellm.jsonl", None, [at * 1000 for at in (0, 1500, 2250, 4000, 5500, 6000, 7750, 8000, 9500, 12000)],
         "timestamps read as seconds"),
        ("vllm.csv", VLLM, [at * 1000 for at in (0, 250, 1000, 2000, 3500, 4000, 5000, 6000, 7000, 10000)],
         "timestamps read as milliseconds"),
    ],
)  # fmt: skip
def test_the_arrivals_of_each_format(name: str, controls: TraceControls | None, at_us: list[int], unit: str) -> None:
    trace, arrivals = sample(name, controls)

    assert [arrival.at_ns // 1000 for arrival in arrivals] == at_us
    assert trace.unit == unit
    assert len(trace.requests) == 10
    assert unit in understood(trace, arrivals, TraceControls())


def test_mooncake_has_blocks_of_512_tokens_and_an_answer_of_no_tokens_becomes_one() -> None:
    trace, arrivals = sample("mooncake.jsonl")

    assert lengths(arrivals)[:3] == [(1100, 50), (700, 12), (512, 7)]
    assert arrivals[0].recorded is not None
    assert arrivals[0].recorded.blocks == Blocks(512, (0, 1, 2))
    assert arrivals[-1].output_tokens == 1
    assert trace.remarks == ("1 of 10 requests with 0 output tokens, replayed with 1",)


def test_aiperfs_turns_grow_and_a_delay_follows_the_turn_before() -> None:
    _, arrivals = sample("aiperf.jsonl")
    first = arrivals[0]

    assert (first.prompt_tokens, first.output_tokens) == (100, 20)
    assert [(later.request.prompt_tokens, later.pause_ns) for later in first.followers] == [
        (100 + 20 + 30, 500 * MS), (150 + 10 + 40, 1500 * MS),
    ]  # fmt: skip
    assert [arrival.recorded.session if arrival.recorded else None for arrival in arrivals] == [
        "a", "b", "b", "c", None, None, "d", "d",
    ]  # fmt: skip
    asked = [arrival.recorded for arrival in arrivals if arrival.recorded is not None]
    assert [len(request.messages) for request in asked if request.messages] == [1, 3]
    assert [request.text for request in asked if request.text] == ["Name a river."]
    assert [arrival.turn for arrival in arrivals] == [0, 0, 1, 0, 0, 0, 0, 1]


def test_bailians_sessions_follow_the_parents_and_its_blocks_have_16_tokens() -> None:
    trace, arrivals = sample("bailian.jsonl")

    sessions = [request.session for request in trace.requests]
    assert sessions == ["159", "160", "159", "159", "163", "163", "12", "12", "167", "168"]
    assert lengths(arrivals)[0] == (40, 132)
    assert trace.requests[2].blocks == Blocks(16, (1, 2, 3, 4))


def test_wekas_agents_are_sessions_of_their_own_inside_of_the_group() -> None:
    trace, arrivals = sample("weka.json")

    assert {request.group for request in trace.requests} == {"trace_0001"}
    assert [request.session for request in trace.requests].count("trace_0001/find") == 2
    assert lengths(arrivals)[:4] == [(150, 20), (200, 30), (64, 5), (100, 6)]
    assert trace.requests[0].blocks == Blocks(64, (1, 2, 3), "trace_0001")


def test_a_think_time_is_a_pause_after_the_answer() -> None:
    _, arrivals = sample("weka.json", controls_from(turns="waiting"))

    assert [(arrival.at_ns // MS, len(arrival.followers)) for arrival in arrivals] == [(0, 7), (12_500, 1)]
    assert [later.pause_ns // MS for later in arrivals[0].followers] == [
        3500, 1000, 3000, 3000, 8000, 8000, 548_000,
    ]  # fmt: skip
    assert not any(later.from_start for later in arrivals[0].followers)


def test_burstgpts_sessions_and_failed_answers() -> None:
    trace, arrivals = sample("burstgpt.csv")

    assert [request.session for request in trace.requests] == [
        "10",
        "10",
        None,
        "11",
        "11",
        None,
        None,
        "12",
        "13",
        "13",
    ]
    assert lengths(arrivals)[3] == (1360, 1)
    assert trace.requests[0].lasted_ns == 1500 * MS
    assert "1 row equal to an earlier one" in understood(trace, arrivals, TraceControls())


def test_azures_lengths() -> None:
    assert lengths(sample("azure.csv")[1])[:2] == [(4808, 10), (3180, 8)]
    assert lengths(sample("azure-2024.csv")[1])[-1] == (50, 5)


def test_basetens_cancellations_are_users_who_leave() -> None:
    trace, arrivals = sample("baseten.csv")

    assert [request.leave for request in trace.requests if request.leave] == [
        Leave(tokens=12), Leave(after_ns=250 * MS), Leave(tokens=1),
    ]  # fmt: skip
    assert [request.output_tokens for request in trace.requests if request.leave] == [None, None, None]
    assert [request.session for request in trace.requests][:4] == ["u1", "u1", "u2", "u3"]
    assert trace.requests[3].text == "Two\nlines"
    assert "3 requests left early by their users" in understood(trace, arrivals, TraceControls())


def test_a_timed_trace_with_columns_of_other_names() -> None:
    trace, arrivals = sample("vllm.csv", VLLM)

    assert lengths(arrivals)[:2] == [(1000, 100), (500, 50)]
    assert trace.requests[0].blocks == Blocks(512, (1, 2))
    minutes = VLLM.__class__(columns=VLLM.columns, unit_ns=0.001 * 1_000_000_000, block_tokens=500)
    trace, arrivals = sample("vllm.csv", minutes)
    assert arrivals[-1].at_ns == 10_000 * MS
    assert trace.unit == "timestamps read as milliseconds (--time-unit)"
    assert trace.requests[0].blocks == Blocks(500, (1, 2))


def test_the_records_of_a_run_are_a_trace(tmp_path: Path) -> None:
    common = {"schema": 1, "method": "POST", "url": "http://h/", "asked_prompt_tokens": 9}
    rows = [
        {**common, "id": "a", "outcome": "ok", "start_ns": 1_800_000_000_500_000_000, "output_tokens": 5},
        {**common, "id": "b", "outcome": "cancelled", "start_ns": 1_800_000_001_000_000_000, "output_tokens": 3,
         "intended_ns": 1_800_000_000_900_000_000},
        {**common, "id": "c", "outcome": "truncated", "start_ns": 1_800_000_002_500_000_000, "output_tokens": 3},
    ]  # fmt: skip
    (tmp_path / "streams.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    trace = read_trace(tmp_path / "streams.jsonl", TraceControls())
    arrivals = arrivals_of(trace, TraceControls(), "streams.jsonl")

    assert [arrival.at_ns // MS for arrival in arrivals] == [0, 400, 2000]
    assert lengths(arrivals) == [(9, 5), (9, None), (9, None)]
    assert [request.leave for request in trace.requests] == [None, Leave(tokens=3), None]


def test_sharegpts_questions_carry_the_history_and_have_no_times() -> None:
    controls = TraceControls()
    trace = read_trace(SAMPLES / "sharegpt.json", controls)

    assert len(trace.requests) == 10  # two questions of the first conversation, none of the fourth
    assert [len(request.messages or ()) for request in trace.requests[:4]] == [1, 3, 2, 2]
    assert trace.requests[0].output_tokens == 4
    assert trace.requests[1].prompt_tokens == 5 + 4 + 4
    assert [request.session for request in trace.requests][:3] == ["c1", "c1", "c2"]
    with pytest.raises(UsageError, match="does not say when its sessions started") as caught:
        arrivals_of(trace, controls, "sharegpt.json")
    assert "--rate" in str(caught.value.hint)
