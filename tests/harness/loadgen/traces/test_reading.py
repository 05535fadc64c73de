"""Files of traces: the rows that are read, and the rows that are refused with their line."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import Arrival
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.reading import parse_trace
from streamgauge.loadgen.traces.timetable import arrivals_of
from streamgauge.loadgen.traces.values import MAX_TOKENS
from streamgauge.units import SECOND
from tests.builders.foreign_numbers import fragments


def read(lines: list[str], name: str = "t") -> list[Arrival]:
    return arrivals_of(parse_trace(lines, name), TraceControls(), name)


OWN_CSV = "timestamp,prompt_tokens,output_tokens\n10.5,100,20\n10,,\n12,7,\n"
OWN_JSONL = """{"timestamp": 10.5, "prompt_tokens": 100, "output_tokens": 20}

{"timestamp": 10}
{"timestamp": "12", "prompt_tokens": 7}
"""
EXPECTED = [Arrival(0, 0), Arrival(1, SECOND // 2, 100, 20), Arrival(2, 2 * SECOND, 7)]


@pytest.mark.parametrize("text", [OWN_CSV, OWN_JSONL, "\ufeff" + OWN_CSV, OWN_CSV.replace("\n", "\r\n")])
def test_arrivals_are_ordered_and_counted_from_the_first(text: str) -> None:
    assert read(text.splitlines(keepends=True)) == EXPECTED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no arrival"),
        ("timestamp\n", "holds no arrival"),
        ("1,2,3\n4,5,6\n", "line 2 has no columns of a known trace, such as timestamp. It has: 1, 2, 3"),
        ("timestamp,a,A\n1,2,3\n", "line 1: the header has two columns of the same name"),
        ("timestamp\n0\n1e308\n", "line 3: the timestamp '1e308' is later than any clock can show"),
        ("timestamp\n\nsoon\n", "line 3: the timestamp 'soon'"),
        ("timestamp\n1\n-5\n", "line 3: the timestamp '-5' is below 0"),
        ("timestamp\n2024-01-01T00:00:00\n5\n", "1 dates and 1 numbers"),
        ('timestamp,prompt_tokens\n1,"2\n', "is not a line of CSV"),
        ('timestamp,hash_ids\n1,"[1.5]"\n', "hash_ids is not a list"),
        ('{"timestamp": 1, "session_id": 1.5}\n', "session_id is '1.5', not an identifier"),
        ("[1]", "item 1 is not a JSON object"),
        ('[{"timestamp": 1}', "begins as a JSON list but cannot be read"),
        ('{\n"timestamp": 1\n', "line 1 is not a JSON object"),
        ("timestamp,prompt_tokens\n1,-5\n", "line 2: prompt_tokens is '-5'"),
        ("timestamp,prompt_tokens\n1,1.5\n", "line 2: prompt_tokens is '1.5'"),
        ("timestamp,prompt_tokens\n1,nan\n", "prompt_tokens is 'nan'"),
        ("timestamp\ninf\n", "timestamp 'inf'"),
        ('{"timestamp": 1}\n[]\n', "line 2 is not a JSON object"),
        ('{"timestamp": 1}\n{"time', "line 2 is not a JSON object"),
        ('{"timestamp": true}\n', "no timestamp"),
        ('{"time": 1}\n', "no columns of a known trace"),
        (
            "timestamp,prompt_tokens,output_tokens\n1,2,3\n1,2\n",
            "line 3 has 2 cells where the header has 3: it lacks the column 'output_tokens'",
        ),
        ("prompt_tokens,timestamp\n1,2\n\n1\n", "line 4 has 1 cell where the header has 2: it lacks the column 'time"),
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
        found = read([head, *lines])
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
        found = read(lines, "trace")
    except UsageError as error:
        message = error.message
    else:
        message = "trace, line"
        assert [arrival.at_ns >= 0 for arrival in found] == [True, True]
        counts = [count for arrival in found for count in (arrival.prompt_tokens, arrival.output_tokens)]
        assert all(count is None or 0 <= count <= MAX_TOKENS for count in counts)
    assert message.startswith(("trace, line", "trace: the unit of the timestamps"))


def test_a_count_that_is_true_is_not_one_token() -> None:
    with pytest.raises(UsageError, match="prompt_tokens is 'True'"):
        parse_trace(['{"timestamp": 1, "prompt_tokens": true}\n'], "trace")
