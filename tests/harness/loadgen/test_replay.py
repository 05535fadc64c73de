"""Traces of other systems, in the shapes they are published in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.replay import MAX_TOKENS, parse_trace
from streamgauge.loadgen.schedule import Arrival
from streamgauge.units import MS, SECOND
from tests.builders.foreign_numbers import fragments

OWN_CSV = "timestamp,prompt_tokens,output_tokens\n10.5,100,20\n10,,\n12,7,\n"
OWN_JSONL = """{"timestamp": 10.5, "prompt_tokens": 100, "output_tokens": 20}

{"timestamp": 10}
{"timestamp": "12", "prompt_tokens": 7}
"""
EXPECTED = [Arrival(0, 0), Arrival(1, SECOND // 2, 100, 20), Arrival(2, 2 * SECOND, 7)]


@pytest.mark.parametrize("text", [OWN_CSV, OWN_JSONL, "\ufeff" + OWN_CSV, OWN_CSV.replace("\n", "\r\n")])
def test_arrivals_are_ordered_and_counted_from_the_first(text: str) -> None:
    assert parse_trace(text.splitlines(keepends=True), "t") == EXPECTED


def test_azures_trace_is_read() -> None:
    lines = [
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 18:15:46.6805900,374,44",
        "2023-11-16 18:15:50.9951690,396,109",
    ]
    found = parse_trace(lines, "azure.csv")
    assert [arrival[2:] for arrival in found] == [(374, 44), (396, 109)]
    assert found[1].at_ns == pytest.approx(4_314_579_000, abs=2_000)


def test_mooncakes_timestamps_are_milliseconds() -> None:
    lines = [
        '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}',
        '{"timestamp": 3052, "input_length": 7322, "output_length": 490, "hash_ids": [0, 2]}',
    ]
    assert parse_trace(lines, "m") == [Arrival(0, 0, 6758, 500), Arrival(1, 3052 * MS, 7322, 490)]


def test_burstgpts_trace_is_read() -> None:
    lines = [
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
        '5,ChatGPT,472,18,490,"Conversation, log"',
        "45,ChatGPT,1087,230,1317,Conversation log",
    ]
    assert parse_trace(lines, "b") == [Arrival(0, 0, 472, 18), Arrival(1, 40 * SECOND, 1087, 230)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no arrival"),
        ("timestamp\n", "holds no arrival"),
        ("1,2,3\n", "line 1 is not a header"),
        ("timestamp\n\nsoon\n", "line 3: the timestamp 'soon'"),
        ("timestamp,prompt_tokens\n1,-5\n", "line 2: prompt_tokens is '-5'"),
        ("timestamp,prompt_tokens\n1,1.5\n", "line 2: prompt_tokens is '1.5'"),
        ("timestamp,prompt_tokens\n1,nan\n", "prompt_tokens is 'nan'"),
        ("timestamp\ninf\n", "timestamp 'inf'"),
        ('{"timestamp": 1}\n[]\n', "line 2 is not a JSON object"),
        ('{"timestamp": 1}\n{"time', "line 2 is not a JSON object"),
        ('{"timestamp": true}\n', "no timestamp"),
        ('{"time": 1}\n', "no timestamp"),
        ('{"timestamp": 1, "output_tokens": "many"}\n', "output_tokens is 'many'"),
    ],
)
def test_what_cannot_be_read_names_the_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"trace\.csv") as caught:
        parse_trace(text.splitlines(keepends=True), "trace.csv")
    assert said in caught.value.message
    assert caught.value.hint


@given(
    st.lists(st.text(max_size=40), max_size=5), st.sampled_from(["", "timestamp,output_tokens\n", '{"timestamp":1}\n'])
)
def test_any_file_is_read_or_refused(lines: list[str], head: str) -> None:
    try:
        found = parse_trace([head, *lines], "t")
    except UsageError:
        return
    assert found[0].at_ns == 0
    assert all(before.at_ns <= after.at_ns for before, after in pairwise(found))


@given(st.lists(fragments, min_size=6, max_size=6), st.booleans())
def test_whatever_number_a_trace_has_it_is_an_arrival_or_a_named_line(numbers: list[str], as_json: bool) -> None:
    rows = [numbers[:3], numbers[3:]]
    if as_json:
        lines = [f'{{"timestamp":{at},"prompt_tokens":{asked},"output_tokens":{out}}}\n' for at, asked, out in rows]
    else:
        lines = ["timestamp,prompt_tokens,output_tokens\n", *(",".join(row) + "\n" for row in rows)]
    try:
        found = parse_trace(lines, "trace")
    except UsageError as error:
        message = error.message
    else:
        message = "trace, line"
        assert [arrival.at_ns >= 0 for arrival in found] == [True, True]
        counts = [count for arrival in found for count in (arrival.prompt_tokens, arrival.output_tokens)]
        assert all(count is None or 0 <= count <= MAX_TOKENS for count in counts)
    assert message.startswith("trace, line")


def test_a_count_that_is_true_is_not_one_token() -> None:
    with pytest.raises(UsageError, match="prompt_tokens is 'True'"):
        parse_trace(['{"timestamp": 1, "prompt_tokens": true}\n'], "trace")
