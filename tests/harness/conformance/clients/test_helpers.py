"""SDKs' helpers that add a stream up to one message: what raises in them, or is lost, where the raw stream reads."""

import json
from typing import Any

import pytest

from streamgauge.conformance.clients import CLIENTS
from streamgauge.conformance.clients.client_matrix import ReplayedStream, compare_clients
from streamgauge.conformance.matrix import ASIDE, ClientRow, ClientVerdict
from streamgauge.protocol import dialects
from tests.harness.conformance.clients.corpus import BODIES, NDJSON, chunk, data

READS, LOSES, RAISES = ClientVerdict.READS, ClientVerdict.LOSES, ClientVerdict.RAISES
HELPERS = [client.name for client in CLIENTS if client.gathers]


def rows_of(dialect: str, body: bytes, media_type: str = "text/event-stream") -> dict[str, ClientRow]:
    """The rows of the clients that the dialect is for, by name."""
    matrix = compare_clients([ReplayedStream([body], media_type=media_type)], dialects.by_name(dialect), "POST")
    return {row.client: row for row in matrix.rows if row.result.verdict not in ASIDE}


def named(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def call(index: int | None, arguments: Any, name: str | None = None) -> dict[str, Any]:
    """A chunk with a piece of one tool call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    piece = {"function": function} | ({} if index is None else {"index": index})
    piece |= {"id": f"call_{name}", "type": "function"} if name else {}
    made = chunk(None)
    made["choices"][0]["delta"] = {"tool_calls": [piece]}
    return made


START = chunk("")
START["choices"][0]["delta"]["role"] = "assistant"


def chat(*chunks: dict[str, Any], finish: str = "tool_calls") -> bytes:
    return data(START, *chunks, chunk(None, finish), b"[DONE]")


def message(**more: Any) -> bytes:
    """Anthropic's stream of one text."""
    start = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "usage": {"input_tokens": 1, **more}}
    content = {} if "content" in more else {"content": [], "stop_reason": None, "stop_sequence": None}
    start = {key: value for key, value in start.items() if key != "content"} | content
    return named(
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )


ITEM = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
PART = {"type": "output_text", "text": "Hello", "annotations": []}


def response(final: dict[str, Any], kind: str = "response.completed") -> bytes:
    """A Responses stream of one text; `final` is added to the response of the last event."""
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    at: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: tuple[dict[str, Any], ...] = (
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**PART, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": "Hello", "logprobs": []},
        {"type": "response.output_text.done", **at, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **at, "part": PART},
        {"type": "response.output_item.done", "output_index": 0, "item": {**ITEM, "content": [PART]}},
        {"type": kind, "response": {**base, "status": kind.rpartition(".")[2], **final}},
    )
    return named(*({**event, "sequence_number": number} for number, event in enumerate(events)))


WHOLE = {"output": [{**ITEM, "content": [PART]}], "usage": None}
CALLS = (call(0, "", "get_weather"), call(0, '{"city": '), call(0, '"Paris"}'), call(1, "{}", "get_time"))
GEMINI = data({"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP"}]})
OLLAMA = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}\n'
OLLAMA += b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'

HEALTHY = {
    "a text": ("openai-chat", chat(chunk("Hel"), chunk("lo"), finish="stop")),
    "a text cut at max_tokens": ("openai-chat", chat(chunk("Hel"), finish="length")),
    "two tool calls": ("openai-chat", chat(*CALLS)),
    "a message": ("anthropic", message()),
    "a response": ("openai-responses", response(WHOLE)),
    "an incomplete response": ("openai-responses", response(WHOLE, "response.incomplete")),
    "a Gemini answer": ("gemini", GEMINI),
    "an Ollama answer": ("ollama", OLLAMA),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_every_helper_reads_a_healthy_stream(name: str) -> None:
    dialect, body = HEALTHY[name]
    rows = rows_of(dialect, body, NDJSON if dialect == "ollama" else "text/event-stream")
    verdicts = {name: row.result.verdict for name, row in rows.items() if name in HELPERS}
    assert verdicts
    assert set(verdicts.values()) == {READS}, [row.result.reason for row in rows.values()]


BROKEN = {
    "calls without an index": (
        "openai-chat",
        chat(call(None, "", "get_weather"), call(None, "{}")),
        {"openai-python stream()": (RAISES, "list indices must be integers")},
    ),
    "two calls under one index": (
        "openai-chat",
        chat(call(0, "{}", "get_weather"), call(0, "{}", "get_time")),
        {"openai-python stream()": (LOSES, "the arguments of tool call 1 in its finished message are not JSON")},
    ),
    "arguments as an object": (
        "openai-chat",
        chat(call(0, {"city": "Paris"}, "get_weather")),
        {"openai-python stream()": (LOSES, "are not JSON: \"<dict> {'city': 'Paris'}\"")},
    ),
    "a message without content": (
        "anthropic",
        message(content=None),
        {"anthropic-python stream()": (RAISES, "'NoneType' object has no attribute 'append'")},
    ),
    "a completed response with an empty output": (
        "openai-responses",
        response({"output": []}),
        {"openai-python stream()": (LOSES, "its finished message is empty; the stream carries 'Hello' there")},
    ),
    "a Gemini part that is a string": (
        "gemini",
        data({"candidates": [{"content": {"parts": "Hi", "role": "model"}, "finishReason": "STOP"}]}),
        {"genai-python chat": (RAISES, "ValidationError")},
    ),
    "Ollama's content as a list": (
        "ollama",
        OLLAMA.replace(b'"Hi"', b'["Hi"]'),
        {"ollama-python chat()": (RAISES, "ValidationError")},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_helper_fails_where_its_raw_stream_reads(name: str) -> None:
    dialect, body, broken = BROKEN[name]
    rows = rows_of(dialect, body, NDJSON if dialect == "ollama" else "text/event-stream")
    for helper, (verdict, reason) in broken.items():
        result = rows[helper].result
        assert result.verdict is verdict, result.reason
        assert reason in (result.reason or "")
        assert result.offset is not None
    raw = {name: row.result.verdict for name, row in rows.items() if name.endswith(" raw")}
    assert raw
    assert set(raw.values()) == {READS}


def test_the_text_that_a_helper_lacks_is_named_with_the_byte_where_it_begins() -> None:
    body = response({"output": []})
    result = rows_of("openai-responses", body)["openai-python stream()"].result
    assert result.offset == body.index(b"event: response.output_text.delta")


def test_a_row_names_the_version_that_ran_or_that_an_emulation_follows() -> None:
    rows = rows_of("openai-chat", BODIES["clean"].body)
    assert rows["openai-python stream()"].version
    assert rows["openai-node raw"].follows == "7.57.0"
    unknown = [client.name for client in CLIENTS if not (client.version or client.follows)]
    assert unknown == ["EventSource", "EventSource.onmessage", 'fetch split("\\n\\n")']


def test_named_events_do_not_reach_onmessage() -> None:
    body = b'event: token\ndata: {"token":"Hel"}\n\nevent: done\ndata: {}\n\n'
    matrix = compare_clients([ReplayedStream([body])], dialects.by_name("event-json"), "GET")
    rows = {row.client: row.result for row in matrix.rows}
    assert rows["EventSource"].verdict is READS
    assert (rows["EventSource.onmessage"].verdict, rows["EventSource.onmessage"].offset) == (LOSES, 0)
