"""SDKs' helpers that add a stream up to one message: what raises in them, or is lost, where the raw stream reads."""

import pytest

from streamgauge.conformance.clients import CLIENTS
from streamgauge.conformance.clients.client_matrix import ReplayedStream, compare_clients
from streamgauge.conformance.matrix import ASIDE, ClientRow, ClientVerdict
from streamgauge.protocol import dialects
from tests.builders.vendor_streams import (
    ABSENT,
    CALLS,
    GEMINI,
    MESSAGE,
    OLLAMA,
    OLLAMA_GENERATE,
    RESPONSE,
    UI_MESSAGE,
    Payload,
    call,
    chat,
    chunk,
    edited,
    lines,
    named_events,
    response,
    unnamed_events,
)
from tests.harness.conformance.clients.corpus import BODIES, NDJSON

READS, LOSES, RAISES = ClientVerdict.READS, ClientVerdict.LOSES, ClientVerdict.RAISES
HELPERS = [client.name for client in CLIENTS if client.gathers]


def rows_of(dialect: str, body: bytes, media_type: str = "text/event-stream") -> dict[str, ClientRow]:
    """The rows of the clients that the dialect is for, by name."""
    matrix = compare_clients([ReplayedStream([body], media_type=media_type)], dialects.by_name(dialect), "POST")
    return {row.client: row for row in matrix.rows if row.result.verdict not in ASIDE}


def chat_body(*chunks: Payload, finish: str = "stop") -> bytes:
    return unnamed_events(chat(*chunks, finish=finish), done=True)


HEALTHY = {
    "a text": ("openai-chat", chat_body(chunk({"content": "Hel"}), chunk({"content": "lo"}))),
    "a text cut at max_tokens": ("openai-chat", chat_body(chunk({"content": "Hel"}), finish="length")),
    "two tool calls": ("openai-chat", unnamed_events(CALLS, done=True)),
    "a message": ("anthropic", named_events(MESSAGE)),
    "a response": ("openai-responses", named_events(response())),
    "an incomplete response": ("openai-responses", named_events(response(kind="response.incomplete"))),
    "a Gemini answer": ("gemini", unnamed_events(GEMINI)),
    "an Ollama answer": ("ollama", lines(OLLAMA)),
    "a UI message of the AI SDK": ("ai-sdk-ui", unnamed_events(UI_MESSAGE, done=True)),
    "an Ollama completion": ("ollama-generate", lines(OLLAMA_GENERATE)),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_every_helper_reads_a_healthy_stream(name: str) -> None:
    dialect, body = HEALTHY[name]
    rows = rows_of(dialect, body, NDJSON if dialect.startswith("ollama") else "text/event-stream")
    verdicts = {name: row.result.verdict for name, row in rows.items() if name in HELPERS}
    assert verdicts
    assert set(verdicts.values()) == {READS}, [row.result.reason for row in rows.values()]


NOT_JSON = "the arguments of tool call 1 that its caller gets are not JSON"
BROKEN: dict[str, tuple[str, bytes, dict[str, tuple[ClientVerdict, str]]]] = {
    "calls without an index": (
        "openai-chat",
        chat_body(call(None, "{}", "get_weather"), call(None, "{}", "get_time")),
        {
            "openai-python stream()": (RAISES, "list indices must be integers"),
            "openai-node stream()": (RAISES, "invalid tool call index: undefined"),
            "openai-dotnet": (LOSES, NOT_JSON),
        },
    ),
    "two calls under one index": (
        "openai-chat",
        chat_body(call(0, "{}", "get_weather"), call(0, "{}", "get_time")),
        dict.fromkeys(("openai-python stream()", "openai-node stream()", "openai-dotnet"), (LOSES, NOT_JSON)),
    ),
    "arguments as an object": (
        "openai-chat",
        chat_body(call(0, {"city": "Paris"}, "get_weather")),
        {
            "openai-python stream()": (LOSES, "are not JSON: \"<dict> {'city': 'Paris'}\""),
            "openai-node stream()": (LOSES, "are not JSON: '[object Object]'"),
            "openai-dotnet": (RAISES, "requires an element of type 'String', but the target element has type 'Object'"),
        },
    ),
    "content as typed parts": (
        "openai-chat",
        chat_body(chunk({"content": [{"type": "thinking", "thinking": []}]}), chunk({"content": "Hi"})),
        {
            "openai-node stream()": (LOSES, "its caller gets '[object Object]Hi' where the stream has 'Hi'"),
            "openai-dotnet": (RAISES, "Unknown ChatMessageContentPartKind value, thinking"),
        },
    ),
    "a time with a fraction": (
        "openai-chat",
        chat_body(chunk({"content": "Hi"}, created=1.5)),
        {"openai-dotnet": (RAISES, "FormatException")},
    ),
    "a finish reason of a model's own": (
        "openai-chat",
        chat_body(chunk({"content": "Hi"}), finish="eos"),
        {"openai-dotnet": (RAISES, "Unknown ChatFinishReason value, eos (choices[0].finish_reason)")},
    ),
    "a message without content": (
        "anthropic",
        named_events(edited(MESSAGE, 0, "/message/content", ABSENT)),
        {
            "anthropic-python stream()": (RAISES, "'NoneType' object has no attribute 'append'"),
            "anthropic-node stream()": (RAISES, "Cannot read properties of undefined (reading 'push')"),
        },
    ),
    "a message without message_stop": (
        "anthropic",
        named_events(MESSAGE[:-1]),
        {"anthropic-node stream()": (RAISES, "stream ended without producing a Message")},
    ),
    "an answer without a finish reason": (
        "openai-chat",
        unnamed_events(CALLS[:-2], done=True),
        {"openai-node stream()": (RAISES, "missing finish_reason for choice 0")},
    ),
    "an answer without a role": (
        "openai-chat",
        unnamed_events(chat(chunk({"content": "Hi"}))[1:], done=True),
        {"openai-node stream()": (RAISES, "missing role for choice 0")},
    ),
    "an event of a response that OpenAI does not have": (
        "openai-responses",
        named_events([*RESPONSE[:2], {"type": "response.thoughts.delta", "delta": "hm"}, *RESPONSE[2:]]),
        {"openai-node stream()": (RAISES, "Unhandled response stream event")},
    ),
    "a delta for another item": (
        "openai-responses",
        named_events(edited(RESPONSE, 4, "/item_id", "msg_2")),
        {"openai-node stream()": (RAISES, "expected item_id 'msg_1', got 'msg_2'")},
    ),
    "a completed response with an empty output": (
        "openai-responses",
        named_events(response({"output": []})),
        dict.fromkeys(
            ("openai-python stream()", "openai-node stream()"),
            (LOSES, "its caller gets none of the text: 'Hello'"),
        ),
    ),
    "a text of the AI SDK that has not started": (
        "ai-sdk-ui",
        unnamed_events([*UI_MESSAGE[:2], *UI_MESSAGE[3:]], done=True),
        {"ai useChat()": (RAISES, "AI_UIMessageStreamError: text-delta for '0', which has not started")},
    ),
    "a null where the AI SDK wants nothing": (
        "ai-sdk-ui",
        unnamed_events(edited(UI_MESSAGE, 0, "/messageId", None), done=True),
        {"ai useChat()": (RAISES, "AI_TypeValidationError: start: /messageId is null, expected a string")},
    ),
    "a Gemini part that is a string": (
        "gemini",
        unnamed_events(edited(GEMINI, 0, "/candidates/0/content/parts", "Hi")),
        {"genai-python chat": (RAISES, "ValidationError")},
    ),
    "Ollama's content as a list": (
        "ollama",
        lines(edited(OLLAMA, 0, "/message/content", ["Hi"])),
        {"ollama-python chat()": (RAISES, "ValidationError")},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_helper_fails_where_its_raw_stream_reads(name: str) -> None:
    dialect, body, broken = BROKEN[name]
    rows = rows_of(dialect, body, NDJSON if dialect.startswith("ollama") else "text/event-stream")
    for helper, (verdict, reason) in broken.items():
        result = rows[helper].result
        assert result.verdict is verdict, result.reason
        assert reason in (result.reason or "")
    raw = {name: row.result.verdict for name, row in rows.items() if name.endswith((" raw", "eventsource-parser"))}
    assert raw
    assert set(raw.values()) == {READS}


def test_the_text_that_a_helper_lacks_is_named_with_the_byte_where_it_begins() -> None:
    body = named_events(response({"output": []}))
    result = rows_of("openai-responses", body)["openai-python stream()"].result
    assert result.offset == body.index(b"event: response.output_text.delta")


def test_an_error_that_nobody_is_told_of_is_lost() -> None:
    body = chat_body(chunk({"content": "Hi"})).replace(b"data: [DONE]", b'data: {"error":{"message":"boom"}}')
    rows = rows_of("openai-chat", body)
    assert rows["openai-python stream()"].result.reason == "tells its caller of the error: APIError: boom"
    told = rows["openai-dotnet"].result
    assert (told.verdict, told.reason) == (LOSES, "its caller is not told of the error")
    assert told.offset == body.index(b'data: {"error"')


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
