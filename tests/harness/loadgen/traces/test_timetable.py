"""When the requests of a trace start: window, gaps, scale, turns, and sessions that start at a rate."""

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import Arrival, Follower
from streamgauge.loadgen.traces.controls import TraceControls, controls_from
from streamgauge.loadgen.traces.reading import Trace, parse_trace
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.timetable import arrivals_at, arrivals_of, planned_turns, sessions_in_turn
from streamgauge.loadgen.traces.understood import peak, understood
from streamgauge.units import MS, SECOND

SESSIONS = [
    {"timestamp": 10, "session_id": "a", "prompt_tokens": 5},
    {"timestamp": 11, "session_id": "b", "prompt_tokens": 6},
    {"timestamp": 14, "session_id": "a", "prompt_tokens": 7},
    {"timestamp": 20, "session_id": "a", "prompt_tokens": 8},
]


def trace(rows: list[dict[str, Any]], controls: TraceControls | None = None) -> Trace:
    return parse_trace([json.dumps(row) for row in rows], "t.jsonl", controls)


def seconds(arrivals: list[Arrival]) -> list[float]:
    return [arrival.at_ns / SECOND for arrival in arrivals]


def replayed(rows: list[dict[str, Any]], **options: Any) -> list[Arrival]:
    controls = controls_from(**options)
    return arrivals_of(trace(rows, controls), controls, "t.jsonl")


def at(*times: float) -> list[dict[str, Any]]:
    return [{"timestamp": time} for time in times]


def test_unsorted_rows_are_replayed_in_order_of_time() -> None:
    assert seconds(replayed(at(5, 3, 9, 3))) == [0, 0, 2, 6]


@pytest.mark.parametrize(
    ("window", "expected"),
    [("2s..6s", [0, 3]), ("..3s", [0, 2]), ("5s..", [0, 4]), ("2s..3s", [0])],
)
def test_a_window_is_a_part_counted_from_the_first_arrival(window: str, expected: list[float]) -> None:
    assert seconds(replayed(at(100, 102, 105, 109), trace_window=window)) == expected


def test_a_window_without_an_arrival_is_refused() -> None:
    with pytest.raises(UsageError, match="no arrival in the --trace-window"):
        replayed(at(1, 2), trace_window="5s..6s")


def test_gaps_are_shortened_and_then_scaled() -> None:
    assert seconds(replayed(at(0, 1, 31, 33), max_gap="5s")) == [0, 1, 6, 8]
    assert seconds(replayed(at(0, 1, 31, 33), max_gap="5s", time_scale="0.5")) == [0, 0.5, 3, 4]


def test_turns_start_at_their_recorded_times_unless_they_wait() -> None:
    assert seconds(replayed(SESSIONS)) == [0, 1, 4, 10]
    assert [arrival.turn for arrival in replayed(SESSIONS)] == [0, 0, 1, 2]

    waiting = replayed(SESSIONS, turns="waiting", time_scale="0.5", max_gap="5s")

    assert seconds(waiting) == [0, 0.5]
    assert [(later.turn, later.pause_ns / SECOND, later.from_start) for later in waiting[0].followers] == [
        (1, 2.0, True), (2, 2.5, True),
    ]  # fmt: skip
    assert waiting[1].followers == ()


def test_a_gap_less_the_recorded_answer_is_a_pause() -> None:
    rows = [
        {"Timestamp": 0, "Session ID": 1, "Elapsed time": 3, "Request tokens": 5, "Response tokens": 5},
        {"Timestamp": 10, "Session ID": 1, "Elapsed time": 30, "Request tokens": 5, "Response tokens": 5},
        {"Timestamp": 20, "Session ID": 1, "Elapsed time": 1, "Request tokens": 5, "Response tokens": 5},
    ]
    (arrival,) = replayed(rows, turns="waiting")
    assert [(later.pause_ns / SECOND, later.from_start) for later in arrival.followers] == [(7, False), (0, False)]


def test_a_follower_waits_after_the_answer_or_from_the_start_of_the_turn_before() -> None:
    after, from_start = Follower(1, Request(), 5), Follower(1, Request(), 5, from_start=True)
    assert after.wait_ns(begun_ns=10, ended_ns=12) == 5
    assert from_start.wait_ns(begun_ns=10, ended_ns=12) == 3
    assert from_start.wait_ns(begun_ns=10, ended_ns=20) == -5  # the answer took longer: the next turn starts at once


def test_sessions_start_at_a_rate_and_begin_anew_after_the_last() -> None:
    starts = [Arrival(number, number * 3 * SECOND) for number in range(3)]

    found = list(arrivals_at(starts, trace(SESSIONS), TraceControls(), "t.jsonl"))

    assert [(arrival.number, arrival.at_ns // SECOND, arrival.prompt_tokens) for arrival in found] == [
        (0, 0, 5), (1, 3, 6), (2, 4, 7), (3, 6, 5), (4, 10, 8), (5, 10, 7), (6, 16, 8),
    ]  # fmt: skip
    sessions = [arrival.recorded.session for arrival in found if arrival.recorded is not None]
    assert sessions == ["a", "b", "a", "a#2", "a", "a#2", "a#2"]


def test_blocks_of_a_later_round_are_new_text() -> None:
    rows = [{"timestamp": 1, "input_length": 5, "hash_ids": [1]}]
    starts = [Arrival(0, 0), Arrival(1, SECOND)]
    found = arrivals_at(starts, trace(rows), TraceControls(), "t.jsonl")
    scopes = [arrival.recorded.blocks.scope for arrival in found if arrival.recorded and arrival.recorded.blocks]
    assert scopes == ["", "#2"]


def test_users_play_session_after_session_and_each_turn_waits() -> None:
    rows = [*SESSIONS, {"timestamp": 12, "prompt_tokens": 1}]
    played = list(islice(sessions_in_turn(trace(rows), TraceControls(), "t.jsonl"), 4))

    assert [(arrival.number, arrival.at_ns, arrival.prompt_tokens) for arrival in played] == [
        (0, 0, 5), (1, 0, 6), (2, 0, 1), (3, 0, 5),
    ]  # fmt: skip
    assert [len(arrival.followers) for arrival in played] == [2, 0, 0, 2]
    assert [later.request.session for later in played[3].followers] == ["a#2", "a#2"]


@pytest.mark.parametrize("play", [
    lambda found, controls: next(sessions_in_turn(found, controls, "t")),
    lambda found, controls: next(arrivals_at([Arrival(0, 0)], found, controls, "t")),
])  # fmt: skip
def test_a_window_also_holds_where_the_times_do_not_decide(play: Callable[[Trace, TraceControls], Arrival]) -> None:
    assert play(trace(SESSIONS), controls_from(trace_window="1s..2s")).prompt_tokens == 6
    with pytest.raises(UsageError, match="no arrival in the --trace-window"):
        play(trace(SESSIONS), controls_from(trace_window="1h..2h"))
    with pytest.raises(UsageError, match="no common times"):
        play(
            trace([{"id": "c", "conversations": [{"from": "human", "value": "a"}]}]), controls_from(trace_window="..2s")
        )


def test_agents_that_each_count_from_their_own_start_need_a_rate() -> None:
    session = {"models": ["m"], "requests": [{"t": 0, "in": 5, "out": 5}, {"t": 4, "in": 9, "out": 5}]}
    rows = [{"id": "one", **session}, {"id": "two", **session}]
    with pytest.raises(UsageError, match="does not say when its sessions started"):
        replayed(rows)

    starts = [Arrival(0, 0), Arrival(1, SECOND)]
    found = list(arrivals_at(starts, trace(rows), TraceControls(), "t.jsonl"))

    assert [arrival.at_ns // SECOND for arrival in found] == [0, 1, 4, 5]
    assert seconds(replayed(rows[:1])) == [0, 4]


def test_a_nested_agent_may_count_from_its_own_start_or_from_the_sessions() -> None:
    def nested(*times: float) -> list[float]:
        inner = [{"t": time, "in": 5, "out": 5} for time in times]
        entries = [{"t": 0, "in": 5, "out": 5}, {"t": 10, "type": "subagent", "requests": inner}]
        return seconds(replayed([{"id": "one", "models": [], "requests": entries}]))

    assert nested(0.5, 12) == [0, 10.5, 22]
    assert nested(10.5, 12) == [0, 10.5, 12]


def test_a_session_that_begins_without_a_time_is_named() -> None:
    rows = [{"session_id": "a", "input_length": 5, "delay": 5}, {"session_id": "b", "input_length": 5, "timestamp": 5}]
    with pytest.raises(UsageError, match="the first request of session 'a' has no timestamp"):
        replayed(rows)


def test_what_was_understood_names_the_rate_the_peak_and_the_changes() -> None:
    controls = controls_from(time_scale="0.5", max_gap="1m", max_prompt_tokens=6)
    found = trace(SESSIONS, controls)
    text = understood(found, arrivals_of(found, controls, "t"), controls)
    assert text == (
        "4 arrivals over 5 s, mean 0.6/s, peak 2/s, timestamps read as seconds (own columns), 2 sessions of 2 turns on "
        "average, times multiplied by 0.5, no gap longer than 60 s, 2 of 4 requests with more than 6 prompt tokens, "
        "cut to that"
    )


def test_the_peak_is_within_any_second() -> None:
    assert peak([Arrival(0, at_ms * MS) for at_ms in (0, 900, 1100, 1800, 1899, 5000)]) == 4


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    st.sampled_from([None, "1s", "0"]),
    st.sampled_from([None, "0.5", "3"]),
    st.sampled_from(["recorded", "waiting"]),
    st.lists(st.sampled_from([None, "a", "b"]), min_size=20, max_size=20),
)
def test_every_request_is_replayed_once_and_in_order(
    times: list[float], gap: str | None, scale: str | None, turns: str, sessions: list[str | None]
) -> None:
    rows = [{"timestamp": time, "session_id": name} for time, name in zip(times, sessions, strict=False)]
    found = replayed(rows, max_gap=gap, time_scale=scale, turns=turns, time_unit="s")
    assert sum(1 + len(arrival.followers) for arrival in found) == len(times)
    assert seconds(found) == sorted(seconds(found))
    assert found[0].at_ns == 0
    assert [arrival.number for arrival in found] == list(range(len(found)))


def test_the_turns_of_a_session_are_known_in_every_round() -> None:
    planned = planned_turns([Request(session="a"), Request(session="b#2"), Request(session="a"), Request()])
    assert [planned(name) for name in ("a", "a#2", "b#2", "b#2#3", "b", "c", "a#x")] == [2, 2, 1, 1, None, None, None]
