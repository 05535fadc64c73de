"""The messages of a SignalR hub, as HubProtocol.md defines them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.by_pointer import StreamTable
from streamgauge.protocol.dialects.signalr import RECORD_END, HubTable, SignalR, is_last
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.outcome import Outcome
from tests.builders.tapes import stream

HUB = SignalR()
COMPLETION = {"type": 3, "invocationId": "0"}
TEXTS = st.lists(st.text(max_size=8), max_size=12)


def record(message: dict[str, Any]) -> str:
    return json.dumps(message) + RECORD_END


def item(value: object) -> dict[str, Any]:
    return {"type": 2, "invocationId": "0", "item": value}


def deltas(data: str) -> list[Delta]:
    return HUB.deltas_in(Event("message", data, "", 0, len(data), 0))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (item("a"), Delta(Kind.CONTENT, "a")),
        (item(""), Delta(Kind.CONTENT, "")),
        (item(None), Delta(Kind.META)),
        ({**item("a"), "invocationId": "1"}, Delta(Kind.META)),
        (COMPLETION, Delta(Kind.DONE)),
        ({**COMPLETION, "error": "no"}, Delta(Kind.ERROR, value="no")),
        ({**COMPLETION, "invocationId": "1", "error": "no"}, Delta(Kind.META)),
        ({"type": 1, "target": "Welcome", "arguments": ["text"]}, Delta(Kind.META)),
        ({"type": 6}, Delta(Kind.PING)),
        ({"type": 7}, Delta(Kind.META)),
        ({"type": 7, "error": "bye"}, Delta(Kind.ERROR, value="bye")),
        ({"type": 99, "error": "of a later version"}, Delta(Kind.META)),
        ({}, Delta(Kind.META)),
        ({"error": "no such protocol"}, Delta(Kind.ERROR, value="no such protocol")),
    ],
)
def test_each_message_is_a_delta(message: dict[str, Any], expected: Delta) -> None:
    assert deltas(record(message)) == [expected]


@given(TEXTS, st.lists(st.integers(1, 5), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_any_records_in_any_events_give_their_texts(texts: list[str], sizes: list[int], end: str) -> None:
    """However many records the server puts into one event."""
    records = [record(item(text)) for text in texts] + [record({"type": 6}), record(COMPLETION)]
    events = []
    for size in sizes:
        events.append("".join(records[:size]))
        records = records[size:]
    events += ["".join(records)]
    body = [f"data: {data}{end}{end}".encode() for data in events if data]

    transcript = stream(*body, dialect=HUB)

    assert transcript.text == "".join(texts)
    assert [text for _, text in transcript.tokens] == [text for text in texts if text]
    assert transcript.outcome is (Outcome.OK if any(texts) else Outcome.EMPTY)


@given(st.text() | st.builds(record, st.dictionaries(
    st.sampled_from(["type", "invocationId", "item", "error", "result"]),
    st.none() | st.booleans() | st.integers(-1, 9) | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
)))  # fmt: skip
def test_nothing_that_a_hub_sends_raises(data: str) -> None:
    assert deltas(data)
    assert deltas(data + RECORD_END)
    assert stream(f"data: {data}\n\n".encode(errors="replace"), dialect=HUB).outcome


@given(st.dictionaries(st.sampled_from(["type", "invocationId"]), st.integers(0, 9) | st.sampled_from(["0", "1"])))
def test_only_the_last_message_is_the_last(message: dict[str, Any]) -> None:
    ends = deltas(record(message))[0].kind is Kind.DONE or message.get("type") == 7
    assert is_last(message) is ends


def test_an_item_that_is_an_object_is_read_by_pointers() -> None:
    reader = SignalR(StreamTable(text="/text", reasoning="/thought").dialect())
    event = Event("message", record(item({"text": "a", "thought": "hm"})), "", 0, 1, 0)
    assert reader.deltas_in(event) == [Delta(Kind.REASONING, "hm", None), Delta(Kind.CONTENT, "a", None)]


def test_cumulative_items_are_parts() -> None:
    reader = SignalR(StreamTable(text="/text", cumulative=True).dialect())
    body = [f"data: {record(item({'text': text}))}\n\n".encode() for text in ("a", "ab", "abc")]
    end = f"data: {record(COMPLETION)}\n\n".encode()
    assert [text for _, text in stream(*body, end, dialect=reader).tokens] == ["a", "b", "c"]


@given(st.lists(st.none() | st.booleans() | st.text() | st.dictionaries(st.text(), st.integers(-9, 9))))
def test_an_invocation_is_one_record(arguments: list[Any]) -> None:
    text = HubTable("Ask", arguments).invocation()
    assert text.endswith(RECORD_END)
    assert json.loads(text[:-1]) == {"type": 4, "invocationId": "0", "target": "Ask", "arguments": arguments}


def test_a_method_needs_a_name() -> None:
    with pytest.raises(UsageError, match="no name"):
        HubTable(" ").invocation()
