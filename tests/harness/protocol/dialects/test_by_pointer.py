"""A dialect that a [stream] table describes."""

import json
from typing import Any

import pytest

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.by_pointer import EndMark, StreamTable
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from tests.builders.tapes import stream

DELTA = "/output/text"


def data(value: Any, name: str | None = None) -> bytes:
    lines = f"event: {name}\n" if name else ""
    return f"{lines}data: {json.dumps(value)}\n\n".encode()


def text(value: str) -> dict[str, Any]:
    return {"output": {"text": value}}


def texts(transcript: Transcript) -> list[str]:
    return [token for _, token in transcript.tokens]


def test_text_and_reasoning_are_found_and_the_end_of_the_body_is_the_end() -> None:
    table = StreamTable(text=DELTA, reasoning="/output/thought")
    thought = data({"output": {"thought": "Hm"}})
    transcript = stream(data({"id": 1}), thought, data(text("Hel")), data(text("lo")), dialect=table.dialect())
    assert texts(transcript) == ["Hm", "Hel", "lo"]
    assert (transcript.outcome, transcript.text, transcript.dialect_doubt) == (Outcome.OK, "Hello", None)


@pytest.mark.parametrize(
    ("end", "marker", "words"),
    [
        (EndMark(event="done"), data({}, "done"), "event: done"),
        (EndMark(data="[END]"), b"data: [END]\n\n", "data: [END]"),
        (EndMark(pointer="/state", value="finished"), data({"state": "finished"}), '/state = "finished"'),
        (EndMark(pointer="/done", value=True), data({"done": True}), "/done = true"),
        (EndMark(pointer="/stop_reason"), data({"stop_reason": "eos"}), "/stop_reason"),
    ],
)
def test_a_stream_without_its_end_marker_is_truncated(end: EndMark, marker: bytes, words: str) -> None:
    dialect = StreamTable(text=DELTA, end=end).dialect()
    assert stream(data(text("a")), marker, dialect=dialect).outcome is Outcome.OK
    not_yet = data({"state": "running", "done": False, "stop_reason": None, **text("b")})
    cut = stream(data(text("a")), not_yet, dialect=dialect)
    assert (cut.outcome, texts(cut)) == (Outcome.TRUNCATED, ["a", "b"])
    assert words in (cut.detail or "")


def test_a_value_of_1_is_not_true() -> None:
    dialect = StreamTable(text=DELTA, end=EndMark(pointer="/done", value=True)).dialect()
    assert stream(data(text("a")), data({"done": 1}), dialect=dialect).outcome is Outcome.TRUNCATED


def test_only_the_named_events_carry_text() -> None:
    dialect = StreamTable(text="/text", events=["delta"]).dialect()
    transcript = stream(data({"text": "no"}, "status"), data({"text": "yes"}, "delta"), dialect=dialect)
    assert texts(transcript) == ["yes"]


def test_errors_are_found_at_their_pointer_and_in_the_known_shapes() -> None:
    dialect = StreamTable(text=DELTA, error="/failure").dialect()
    for error in (data({"failure": {"message": "boom"}}), data({"error": "boom"}), data({"message": "boom"}, "error")):
        failed = stream(data({"failure": None, **text("a")}), error, dialect=dialect)
        assert (failed.outcome, failed.detail, texts(failed)) == (Outcome.ERROR_EVENT, "boom", ["a"])


def test_a_star_is_every_item_and_an_empty_pointer_the_payload() -> None:
    every = StreamTable(text=["/parts/*/text", "/tail"]).dialect()
    payload = {"parts": [{"text": "a"}, {"x": 1}, {"text": "b"}], "tail": "c"}
    assert texts(stream(data(payload), dialect=every)) == ["abc"]
    assert texts(stream(data("a"), data("b"), dialect=StreamTable(text="").dialect())) == ["a", "b"]
    assert texts(stream(data({"a/b": {"~": "x"}}), dialect=StreamTable(text="/a~1b/~0").dialect())) == ["x"]


def test_of_cumulative_text_only_the_new_part_is_a_token() -> None:
    gradio = StreamTable(text="/0", cumulative=True).dialect()
    growing = (data(["Hel"], "generating"), data(["Hello"], "generating"))
    transcript = stream(*growing, data(None, "heartbeat"), data(["Hello"], "complete"), dialect=gradio)
    assert texts(transcript) == ["Hel", "lo"]
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "Hello")


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json", "text/plain"])
def test_lines_of_json_are_read_too(media: str) -> None:
    table = StreamTable(text="/t", end=EndMark(pointer="/done", value=True))
    lines = [b'{"t": "a"}\n', b'{"t": "b"}\n', b'{"done": true}\n']
    transcript = stream(*lines, dialect=table.dialect(), media=media)
    assert (texts(transcript), transcript.outcome) == (["a", "b"], Outcome.OK)


def test_what_is_not_json_is_said_and_a_known_sentinel_is_not() -> None:
    dialect = StreamTable(text=DELTA, end=EndMark(event="done")).dialect()
    deltas = stream(b"data: {\n\n", b"data: [DONE]\n\n", dialect=dialect).deltas
    found = [(one.delta.kind, one.delta.value) for one in deltas]
    assert found == [(Kind.META, "not JSON"), (Kind.META, None)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (StreamTable(text="output.text"), r"text = 'output.text' is not a JSON pointer: it must begin with /"),
        (StreamTable(text="/a", error="/a~2"), r"error = '/a~2' is not a JSON pointer: after ~ comes 0 or 1"),
        (StreamTable(text=[]), "text names no place"),
        (StreamTable(text="/a", end="done"), 'end = "done" is not known'),
        (StreamTable(text="/a", end=EndMark()), "exactly one of event, data and pointer"),
        (StreamTable(text="/a", end=EndMark(event="a", data="b")), "exactly one of event, data and pointer"),
        (StreamTable(text="/a", end=EndMark(event="a", value=1)), "a value without a pointer"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(table: StreamTable, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        table.dialect()
    assert caught.value.hint
