"""Each dialect on its wire transcript (docs/protocols.md)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Dialect, Kind, Media
from streamgauge.protocol.dialects.choice import Origin, choose
from streamgauge.protocol.dialects.openai_chat import OpenAIChat
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.outcome import Outcome, message_of
from tests.builders.tapes import stream

SHAPES = [dialect for dialect in dialects.DIALECTS if dialect.media is Media.SSE and dialect.path is None]


def event(data: str, kind: str = "message") -> Event:
    return Event(kind, data, "", 0, len(data), 0)


def openai(delta: dict[str, Any] | None = None, finish: str | None = None, **extra: Any) -> bytes:
    """One chunk as OpenAI sends it."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(chunk | extra).encode() + b"\n\n"


def kinds(*chunks: bytes, dialect: Dialect | None = None) -> list[tuple[Kind, str]]:
    return [(found.delta.kind, found.delta.text) for found in stream(*chunks, dialect=dialect).deltas]


OPENAI = dialects.by_name("openai-chat")


def test_openai_chat_with_usage_is_read_from_role_to_done() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    transcript = stream(
        openai({"role": "assistant", "content": ""}, usage=None),
        openai({"content": "Hi"}, usage=None),
        openai({}, "stop", usage=None),
        openai(usage=usage),
        b"data: [DONE]\n\n",
    )

    assert transcript.dialect is OPENAI
    assert [found.delta for found in transcript.deltas] == [
        Delta(Kind.META),
        Delta(Kind.CONTENT, "Hi"),
        Delta(Kind.FINISH, value="stop"),
        Delta(Kind.USAGE, value=usage),
        Delta(Kind.DONE),
    ]
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "Hi")


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"reasoning_content": "hm"}, [(Kind.REASONING, "hm")]),
        ({"reasoning": "hm", "content": None}, [(Kind.REASONING, "hm")]),
        ({"reasoning_content": "hm", "reasoning": "hm"}, [(Kind.REASONING, "hm")]),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, [(Kind.REASONING, "hm")]),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "h"}, {"text": "m"}]},
            [(Kind.REASONING, "hm")],
        ),
        ({"reasoning": "hm", "reasoning_details": [{"text": "hm"}]}, [(Kind.REASONING, "hm")]),
        ({"content": "", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, [(Kind.REASONING, "hm")]),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}, 1, None]}, [(Kind.META, "")]),
        ({"refusal": "I"}, [(Kind.CONTENT, "I")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [(Kind.CONTENT, "ab")]),
        ({"content": "a", "obfuscation": "xyz"}, [(Kind.CONTENT, "a")]),
        ({"content": None}, [(Kind.META, "")]),
    ],
)
def test_openai_chat_reads_the_variants_in_the_wild(delta: dict[str, Any], expected: list[tuple[Kind, str]]) -> None:
    assert kinds(openai(delta)) == expected


def test_openai_chat_tool_arguments_are_tokens_and_their_empty_start_is_not() -> None:
    start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    transcript = stream(
        openai({"tool_calls": [start]}),
        openai({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        openai({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        openai({}, "tool_calls"),
        b"data: [DONE]\n\n",
    )

    assert [text for _, text in transcript.tokens] == ['{"a":', "1}"]
    assert transcript.text == ""
    finish = transcript.first(Kind.FINISH)
    assert finish is not None
    assert finish.delta.value == "tool_calls"


def test_openai_chat_usage_may_share_the_finish_chunk() -> None:
    assert kinds(openai({"content": "x"}, "stop", usage={"completion_tokens": 1})) == [
        (Kind.CONTENT, "x"),
        (Kind.FINISH, ""),
        (Kind.USAGE, ""),
    ]


def test_openai_chat_reads_every_choice() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]}
    assert OPENAI.deltas_in(event(json.dumps(chunk))) == [Delta(Kind.CONTENT, "a"), Delta(Kind.CONTENT, "b")]


def test_openai_chat_azure_deviations_are_no_tokens() -> None:
    azure = b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}\n\n'
    filtered = b'data: {"choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{}}]}\n\n'
    transcript = stream(azure, openai({"content": "a"}), filtered)

    assert transcript.dialect is OPENAI
    assert [text for _, text in transcript.tokens] == ["a"]


def test_openai_chat_an_error_object_is_an_error_and_a_null_one_is_not() -> None:
    error = {"message": "boom", "type": "server_error", "param": None, "code": None}
    assert OPENAI.deltas_in(event(json.dumps({"error": error}))) == [Delta(Kind.ERROR, value=error)]
    assert OPENAI.deltas_in(event('{"error":null,"choices":[]}')) == [Delta(Kind.META)]


def test_openai_chat_says_why_a_payload_is_not_read() -> None:
    (broken,) = OPENAI.deltas_in(event("{oops"))
    (number,) = OPENAI.deltas_in(event("5"))
    assert (broken.kind, number) == (Kind.META, Delta(Kind.META, value="not a JSON object"))
    assert str(broken.value).startswith("not JSON")


def test_openai_chat_done_is_exact() -> None:
    assert OPENAI.deltas_in(event("[DONE]")) == [Delta(Kind.DONE)]
    assert OPENAI.deltas_in(event("[DONE] "))[0].kind is Kind.META


S1_GET = (b'data: "Hel"\n\n', b'data: "lo\\n"\n\n', b"data: [DONE]\n\n")
S1_POST = (
    b'data: {"token":"Hel","done":false}\n\n',
    b'data: {"token":"lo\\n","done":false}\n\n',
    b'data: {"token":"","done":true}\n\n',
)
S2 = (b"data: Hel\n\n", b"data: lo\ndata:\n\n")
S4 = (
    b'event: token\ndata: {"token":"Hel"}\n\n',
    b": \n\n",
    b'event: token\ndata: {"token":"lo\\n"}\n\n',
    b"event: done\ndata: {}\n\n",
)
S0 = (b"event: token\ndata: Hel\n\n", b"event: token\ndata: lo\ndata:\n\n")


@pytest.mark.parametrize(
    ("name", "events"),
    [("json-string", S1_GET), ("token-done", S1_POST), ("raw-text", S2), ("event-json", S4), ("event-text", S0)],
)
def test_an_application_shape_is_recognised_and_read(name: str, events: tuple[bytes, ...]) -> None:
    transcript = stream(*events)

    assert transcript.dialect is not None
    assert transcript.dialect.name == name
    assert transcript.dialect_rule
    assert transcript.outcome is Outcome.OK
    assert [text for _, text in transcript.tokens] == ["Hel", "lo\n"]


@pytest.mark.parametrize("key", ["reason", "finish_reason", "finishReason", "stop_reason"])
@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("event-json", {}, "done"),
        ("event-text", {}, "done"),
        ("token-done", {"token": "", "done": True}, "message"),
    ],
)
def test_an_end_marker_may_tell_why_the_answer_ended(name: str, data: dict[str, Any], kind: str, key: str) -> None:
    found = dialects.by_name(name).deltas_in(event(json.dumps({**data, key: "length"}), kind))
    assert found == [Delta(Kind.FINISH, value="length"), Delta(Kind.DONE)]
    assert dialects.by_name(name).deltas_in(event(json.dumps({**data, key: None}), kind)) == [Delta(Kind.DONE)]


@pytest.mark.parametrize(("name", "events"), [("token-done", S1_POST)])
def test_a_shape_that_announces_its_end_marker_is_truncated_without_it(name: str, events: tuple[bytes, ...]) -> None:
    """tests/harness/protocol/test_stream_ends.py has the shapes that do not announce it."""
    transcript = stream(*events[:-1])

    assert transcript.outcome is Outcome.TRUNCATED
    assert dialects.by_name(name).terminal in (transcript.detail or "")


@pytest.mark.parametrize("dialect", [*SHAPES, OPENAI], ids=lambda dialect: dialect.name)
def test_the_done_sentinel_ends_every_shape(dialect: Dialect) -> None:
    assert dialect.deltas_in(event("[DONE]"))[0].kind is Kind.DONE


@pytest.mark.parametrize("dialect", SHAPES, ids=lambda dialect: dialect.name)
def test_application_shapes_agree_on_events_named_done_and_error(dialect: Dialect) -> None:
    assert dialect.deltas_in(event("{}", "done"))[0].kind is Kind.DONE
    (error,) = dialect.deltas_in(event('{"message":"boom"}', "error"))
    assert error.kind is Kind.ERROR
    assert "boom" in str(error.value)


@pytest.mark.parametrize("name", ["event-json", "json-string", "token-done"])
def test_an_error_key_is_an_error_in_json_shapes(name: str) -> None:
    read = dialects.by_name(name).deltas_in
    assert read(event('{"error":"boom"}')) == [Delta(Kind.ERROR, value="boom")]
    assert read(event('{"error":null}'))[0].kind is Kind.META


def parts(*content: Any) -> list[Delta]:
    return OPENAI.deltas_in(event(openai({"content": list(content)})[6:].decode()))


def test_mistral_s_parts_are_reasoning_and_text() -> None:
    """Source: ContentChunk of Mistral's SDK: texts, thoughts (whose parts are texts or references), references."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "reference", "ids": [1]}]}
    text = {"type": "text", "text": "Yes"}

    assert parts(thought) == [Delta(Kind.REASONING, "Hm")]
    assert parts(text, {"type": "reference", "reference_ids": [1]}, text) == [Delta(Kind.CONTENT, "YesYes")]
    assert parts(thought, text) == [Delta(Kind.REASONING, "Hm"), Delta(Kind.CONTENT, "Yes")]
    assert parts({"type": "thinking", "thinking": "Hm"}) == [Delta(Kind.REASONING, "Hm")]
    assert [delta.kind for delta in parts({"type": "thinking", "thinking": []}, "x", None)] == [Kind.META]


ERRORS = [
    (event('{"error":"boom"}'), "boom"),
    (event('{"error":{"message":"boom","code":500}}'), "boom"),
    (event('{"error":true,"message":"boom"}'), "boom"),
    (event('{"type":"error","error":{"type":"overloaded_error","message":"boom"}}', "error"), "boom"),
    (event('{"type":"error","code":"x","message":"boom"}', "error"), "boom"),
    (event('{"type":"error","errorText":"boom"}'), "boom"),
    (event('{"event":"error","status":400,"message":"boom"}'), "boom"),
    (event('{"object":"error","message":"boom","code":400}'), "boom"),
    (event('{"message":"boom"}', "error"), "boom"),
    (event('{"detail":"boom"}', "error"), "boom"),
    (event("boom", "error"), "boom"),
    (event('"boom"', "error"), "boom"),
    (event("[ERROR] boom"), "boom"),
    (event('{"errors":[{"message":"boom","code":10000}],"success":false}'), "boom"),
    (event('{"statusCode":500,"message":"boom"}'), "boom"),
    (event('{"code":429,"msg":"boom"}'), "boom"),
    (event('{"type":"about:blank","title":"Error","status":500,"detail":"boom"}'), "boom"),
    (event("boom", "exception"), "boom"),
    (event("boom", "failed"), "boom"),
    (event("boom", "stream_error"), "boom"),
    (event("boom", "stream-error"), "boom"),
    (event("boom", "fail"), "boom"),
    (event('{"message":"boom"}', "abort"), "boom"),
    (event('{"code":4000,"msg":"boom"}', "error"), "boom"),
    (event('{"message":"boom"}', "modelStreamErrorException"), "boom"),
    (event('{"internalServerException":{"message":"boom"}}'), "boom"),
    (event('{"modelStreamErrorException":{"message":"boom","originalStatusCode":500},"p":"ab"}'), "boom"),
    (event('{"timestamp":"2026-01-01","status":500,"error":"boom","path":"/chat"}'), "boom"),
    (event('{"exception":"boom","traceback":"Traceback"}'), "boom"),
    (event('{"type":"exception","message":"boom"}'), "boom"),
    (event('{"type":"RUN_ERROR","message":"boom"}'), "boom"),
    (event('{"event":"error","data":"boom"}'), "boom"),
    (event('{"type":"error","content":"boom"}'), "boom"),
    (event('{"errorMessage":"boom","errorType":"Runtime"}'), "boom"),
    (event('{"Error":"boom"}'), "boom"),
    (event('{"data":null,"errors":[{"message":"boom"}]}', "next"), "boom"),
    (event('{"id":"1","payload":{"errors":[{"message":"boom"}]}}', "next"), "boom"),
    (event('{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"boom"}}'), "boom"),
    (event('{"choices":null,"base_resp":{"status_code":1004,"status_msg":"boom"}}'), "boom"),
    (event('{"header":{"code":10013,"message":"boom","sid":"x","status":2}}'), "boom"),
    (event('{"error_code":336501,"error_msg":"boom"}'), "boom"),
    (event('[{"error":{"code":503,"message":"boom"}}]'), "boom"),
]


@pytest.mark.parametrize(
    ("dialect", "error", "message"),
    [
        pytest.param(dialect, error, message, id=f"{dialect.name}-{number}")
        for number, (error, message) in enumerate(ERRORS)
        for dialect in dialects.DIALECTS
        if dialect.media is not Media.TEXT or error.type == "message"  # plain text has no names of events
    ],
)
def test_an_error_of_any_known_shape_is_an_error_in_every_dialect(dialect: Dialect, error: Event, message: str) -> None:
    (delta,) = dialects.deltas_of(dialect, error)
    assert delta.kind is Kind.ERROR
    assert message_of(delta.value) == message


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    "foreign",
    [
        event("{}", "ping"),
        event("x", "heartbeat"),
        event('{"type":"keepalive"}'),
        event('{"type":"ping"}'),
        event('{"heartbeat":true}'),
        event('{"ping":1,"ts":1733000000}'),
    ],
)
def test_a_heartbeat_of_any_known_shape_is_never_a_token(dialect: Dialect, foreign: Event) -> None:
    if dialect.media is not Media.TEXT:
        assert [delta.kind for delta in dialects.deltas_of(dialect, foreign)] == [Kind.PING]


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    "word",
    [
        '{"base_resp":{"status_code":0,"status_msg":"success"}}',
        '{"error_code":0,"error_msg":"success"}',
        '{"header":{"code":0,"message":"Success"}}',
        '{"code":20000,"message":"searching"}',
        '{"status":"failed","tool":"search"}',
        '{"type":"tool-output-error","toolCallId":"1"}',
        '{"exception":null}',
        '{"errors":[]}',
    ],
)
def test_progress_and_success_are_no_error_in_any_dialect(dialect: Dialect, word: str) -> None:
    assert all(delta.kind is not Kind.ERROR for delta in dialects.deltas_of(dialect, event(word)))


def test_text_that_only_mentions_an_error_is_still_text() -> None:
    for text in ('{"error":null}', "error", '[1] {"error"', '{"error":'):
        assert dialects.by_name("raw-text").deltas_in(event(text)) == [Delta(Kind.CONTENT, text)]


def test_token_done_may_carry_the_last_token_with_done() -> None:
    read = dialects.by_name("token-done").deltas_in
    assert read(event('{"token":"x","done":true}')) == [Delta(Kind.CONTENT, "x"), Delta(Kind.DONE)]
    assert read(event('{"token":"","done":false}')) == [Delta(Kind.META)]
    assert read(event('{"done":"true"}')) == [Delta(Kind.META)]


@pytest.mark.parametrize("key", ["token", "text", "content", "delta"])
def test_event_json_finds_the_text_under_its_usual_keys(key: str) -> None:
    assert dialects.by_name("event-json").deltas_in(event(json.dumps({key: "x"}), "token")) == [
        Delta(Kind.CONTENT, "x")
    ]


def test_event_json_pings_are_no_tokens() -> None:
    assert dialects.by_name("event-json").deltas_in(event("{}", "ping")) == [Delta(Kind.PING)]


def test_plain_text_takes_each_piece_as_it_is() -> None:
    assert dialects.by_name("plain-text").deltas_in(event("[DONE]")) == [Delta(Kind.CONTENT, "[DONE]")]


def test_an_event_without_data_is_no_evidence() -> None:
    transcript = stream(b"data:\n\n", b'data: "a"\n\n', b"data: [DONE]\n\n")
    assert transcript.dialect is dialects.by_name("json-string")
    assert [text for _, text in transcript.tokens] == ["a"]
    assert len(transcript.events) == 3


def test_an_unknown_dialect_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="unknown dialect 'openai-chta'") as caught:
        dialects.by_name("openai-chta")
    assert "did you mean 'openai-chat'?" in caught.value.message
    assert "auto" in (caught.value.hint or "")

    with pytest.raises(UsageError, match="unknown dialect 'zzz'") as caught:
        dialects.by_name("zzz")
    assert "did you mean" not in caught.value.message


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_a_dialect_says_who_it_is_and_asks_with_the_prompt(dialect: Dialect) -> None:
    asked = dialect.ask("PROMPT", "MODEL", 7)

    assert dialects.by_name(dialect.name) is dialect
    assert dialect.summary
    assert "PROMPT" in json.dumps([asked.body, asked.query])
    assert (asked.body is None) == (asked.method == "GET")


def test_openai_chat_asks_for_usage_and_limits_only_when_told() -> None:
    body = OPENAI.ask("p", "m", None).body
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "p"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert OPENAI.ask("p", "m", 7).body == body | {"max_tokens": 7}


KEYS = st.sampled_from(
    ["choices", "delta", "content", "text", "tool_calls", "function", "arguments", "error", "usage", "token", "done",
     "refusal", "reasoning", "finish_reason", "object", "type", "message", "response", "candidates", "parts",
     "finishReason", "usageMetadata", "content_block", "stop_reason", "incomplete_details", "promptFeedback"]
)  # fmt: skip
TYPES = st.sampled_from(
    ["chat.completion.chunk", "message_start", "content_block_start", "content_block_delta", "message_delta",
     "text_delta", "error", "response.completed", "response.failed", "response.output_text.delta", "content-start",
     "content-delta", "tool-call-delta", "tool-plan-delta", "message-end"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
@given(payload=JSON, kind=st.sampled_from(["message", "token", "error", "done", "ping"]))
def test_no_json_whatever_breaks_a_reader(dialect: Dialect, payload: Any, kind: str) -> None:
    deltas = dialect.deltas_in(event(json.dumps(payload), kind))
    assert deltas
    assert all(isinstance(delta.text, str) for delta in deltas)


CHOICE = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": st.dictionaries(KEYS, JSON, max_size=4)}), min_size=1)}
)


@given(CHOICE)
def test_no_delta_whatever_breaks_openai_chat(payload: Any) -> None:
    assert OPENAI.deltas_in(event(json.dumps(payload)))


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("data", ["[" * 200_000, '{"a":' * 200_000, "1" * 5000, "1e999", '"\\ud800"', "\0", ""])
def test_no_hostile_text_breaks_a_reader_or_detection(dialect: Dialect, data: str) -> None:
    assert dialect.deltas_in(event(data))
    assert choose(Origin(), [event(data)])


JSON_VALUE = st.sampled_from([None, "", "x", "\u20ac", 0, 1.5, True, [], ["x"], {}, {"content": "x"}, [{"text": "x"}]])
CHUNK_DELTA = st.dictionaries(
    st.sampled_from(
        [
            "content",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "thinking_blocks",
            "refusal",
            "tool_calls",
            "role",
            "other",
        ]
    ),
    JSON_VALUE,
)
CHOICE = st.fixed_dictionaries({}, optional={"delta": CHUNK_DELTA | JSON_VALUE, "finish_reason": JSON_VALUE})


@given(
    st.fixed_dictionaries(
        {"choices": st.lists(CHOICE, max_size=2) | JSON_VALUE}, optional={"usage": JSON_VALUE, "error": JSON_VALUE}
    ),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_a_plain_chunk_is_read_as_any_other(chunk: dict[str, Any], separators: tuple[str, str]) -> None:
    data = json.dumps(chunk, separators=separators)
    assert OpenAIChat().deltas_in(event(data)) == OpenAIChat().read_any(data)
