"""The vendors' dialects on their wire transcripts (docs/protocols.md)."""

import json
from typing import Any

import pytest

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.eventstream import MAX_LINE_BYTES, Event
from streamgauge.protocol.numbers import PromptCounts, prompt_counts
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import record_of
from streamgauge.protocol.transcript import Transcript
from tests.builders.tapes import stream

C, R, T, F, U, D, E, M, P = (
    Kind.CONTENT, Kind.REASONING, Kind.TOOL, Kind.FINISH, Kind.USAGE, Kind.DONE, Kind.ERROR, Kind.META, Kind.PING,
)  # fmt: skip


def typed(kind: str, **fields: Any) -> bytes:
    """An event that is named as the type of its payload."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def data(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def block(index: int, **delta: Any) -> bytes:
    return typed("content_block_delta", index=index, delta=delta)


def item(kind: str, **fields: Any) -> bytes:
    return typed(f"response.{kind}", sequence_number=0, **fields)


def candidate(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    one: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return data(candidates=[one | ({"finishReason": finish} if finish else {})], **more)


def said(text: str, **more: Any) -> bytes:
    return line(model="m", message={"role": "assistant", "content": text}, done=False, **more)


def cohere(kind: str, **message: Any) -> bytes:
    return typed(kind, index=0, delta={"message": message})


ANTHROPIC = (
    typed("message_start", message={"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}}),
    typed("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
    typed("ping"),
    block(0, type="thinking_delta", thinking="hm"),
    block(0, type="signature_delta", signature="xyz"),
    typed("content_block_stop", index=0),
    typed("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    block(1, type="text_delta", text="Hi"),
    typed("content_block_stop", index=1),
    typed("content_block_start", index=2, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}),
    block(2, type="input_json_delta", partial_json='{"a":1}'),
    typed("content_block_stop", index=2),
    typed("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
    typed("message_stop"),
)
RESPONSES = (
    item("created", response={"id": "resp_1", "status": "in_progress", "error": None}),
    item("output_item.added", output_index=0, item={"type": "reasoning"}),
    item("reasoning_summary_text.delta", delta="hm"),
    item("output_text.delta", delta="Hi"),
    item("output_text.done", text="Hi"),
    item("refusal.delta", delta=" no"),
    item("function_call_arguments.delta", delta='{"a":1}'),
    item("completed", response={"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 9}}),
)
COUNTED = {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 4}
GEMINI = (
    candidate({"text": "hm", "thought": True}),
    candidate({"text": "Hi"}),
    candidate({"functionCall": {"name": "f", "args": {"a": 1}}}),
    candidate({"text": ""}, finish="STOP", usageMetadata=COUNTED),
)
OLLAMA = (
    line(model="m", message={"role": "assistant", "content": "", "thinking": "hm"}, done=False),
    said("Hi"),
    line(model="m", message={"content": "", "tool_calls": [{"function": {"arguments": {"a": 1}}}]}, done=False),
    line(message={"content": ""}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=9),
)
GENERATE = (
    line(model="m", response="", thinking="hm", done=False),
    line(model="m", response="Hi", done=False),
    line(model="m", response="", done=True, done_reason="stop", prompt_eval_count=3, eval_count=9),
)
COHERE = (
    typed("message-start", id="1", delta={"message": {"role": "assistant", "content": []}}),
    cohere("content-start", content={"type": "text", "text": ""}),
    cohere("content-delta", content={"thinking": "hm"}),
    cohere("content-delta", content={"text": "Hi"}),
    typed("content-end", index=0),
    cohere("tool-plan-delta", tool_plan="I will"),
    cohere("tool-call-start", tool_calls={"id": "t", "function": {"name": "f", "arguments": ""}}),
    cohere("tool-call-delta", tool_calls={"function": {"arguments": '{"a":1}'}}),
    typed("message-end", delta={"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 3}}}),
)
WIRES: dict[str, tuple[tuple[bytes, ...], list[tuple[Kind, str]]]] = {
    "anthropic": (ANTHROPIC, [(U, ""), (P, ""), (R, "hm"), (C, "Hi"), (T, '{"a":1}'), (F, ""), (U, ""), (D, "")]),
    "openai-responses": (RESPONSES, [(R, "hm"), (C, "Hi"), (C, " no"), (T, '{"a":1}'), (F, ""), (U, ""), (D, "")]),
    "gemini": (GEMINI, [(R, "hm"), (C, "Hi"), (T, '{"a":1}'), (U, ""), (F, ""), (D, "")]),
    "ollama": (OLLAMA, [(R, "hm"), (C, "Hi"), (T, '{"a":1}'), (F, ""), (U, ""), (D, "")]),
    "ollama-generate": (GENERATE, [(R, "hm"), (C, "Hi"), (F, ""), (U, ""), (D, "")]),
    "cohere": (COHERE, [(R, "hm"), (C, "Hi"), (R, "I will"), (T, '{"a":1}'), (F, ""), (U, ""), (D, "")]),
}
NDJSON = ("ollama", "ollama-generate")


def play(name: str, *wire: bytes, told: bool = True) -> Transcript:
    media = "application/x-ndjson" if name in NDJSON else "text/event-stream"
    return stream(*wire, dialect=dialects.by_name(name) if told else None, media=media)


@pytest.mark.parametrize("told", [True, False], ids=["told", "detected"])
@pytest.mark.parametrize("name", WIRES)
def test_a_whole_answer_is_read_and_recognised(name: str, told: bool) -> None:
    wire, expected = WIRES[name]
    transcript = play(name, *wire, told=told)

    assert transcript.dialect is dialects.by_name(name)
    assert (transcript.dialect_rule is None) == told
    assert (transcript.outcome, transcript.detail) == (Outcome.OK, None)
    assert [(d.kind, d.text) for _, d in transcript.deltas if d.kind is not M] == expected
    assert transcript.text.startswith("Hi")


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_without_its_end_marker_is_truncated(name: str) -> None:
    transcript = play(name, *WIRES[name][0][:-1])

    assert transcript.outcome is Outcome.TRUNCATED
    assert dialects.by_name(name).terminal in (transcript.detail or "")


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("anthropic", typed("error", error={"type": "overloaded_error", "message": "Overloaded"}), "Overloaded"),
        ("openai-responses", typed("error", code="server_error", message="boom", param=None), "boom"),
        ("openai-responses", item("failed", response={"error": {"code": "x", "message": "boom"}}), "boom"),
        ("openai-responses", typed("error", error={"message": "nested"}), "nested"),
        ("gemini", data(error={"code": 503, "message": "busy", "status": "UNAVAILABLE"}), "busy"),
        ("ollama", line(error="boom"), "boom"),
        ("ollama-generate", line(error="boom"), "boom"),
        ("cohere", typed("message-end", delta={"finish_reason": "ERROR", "error": "boom"}), "boom"),
        ("cohere", typed("message-end", delta={"finish_reason": "TIMEOUT"}), "TIMEOUT"),
    ],
)
def test_an_error_in_the_stream_is_an_error_event(name: str, error: bytes, told: str) -> None:
    transcript = play(name, *WIRES[name][0][:2], error)

    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, told)
    assert transcript.first(D) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [({"status": "completed"}, "completed"), ({"incomplete_details": {"reason": "max_output_tokens"}}, None)],
)
def test_responses_may_end_incomplete(response: dict[str, Any], reason: str | None) -> None:
    kind = "completed" if reason else "incomplete"
    transcript = play("openai-responses", *RESPONSES[:-1], item(kind, response=response))
    finish = transcript.first(F)

    assert transcript.outcome is Outcome.OK
    assert finish is not None
    assert finish.delta.value == (reason or "max_output_tokens")


def test_the_done_sentinel_of_openresponses_is_no_second_end() -> None:
    transcript = play("openai-responses", *RESPONSES, b"data: [DONE]\n\n")
    assert [found.delta.kind for found in transcript.deltas].count(D) == 1


def test_a_blocked_prompt_of_gemini_is_an_end_without_tokens() -> None:
    transcript = play("gemini", data(promptFeedback={"blockReason": "SAFETY"}, usageMetadata={"promptTokenCount": 3}))
    assert transcript.outcome is Outcome.OK
    assert [(d.kind, d.value) for _, d in transcript.deltas] == [
        (U, {"input_tokens": 3}),
        (F, "SAFETY"),
        (D, None),
    ]


def test_the_end_of_gemini_is_that_of_its_first_candidate() -> None:
    one = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
    (payload,) = [json.dumps({"candidates": [one | {"index": 0}, one | {"index": 1}]})]
    deltas = dialects.by_name("gemini").deltas_in(Event("message", payload, "", 0, 1, 0))
    assert [delta.kind for delta in deltas] == [C, F, D, C, F]


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("anthropic", {"input_tokens": 3, "output_tokens": 9}),
        ("openai-responses", {"input_tokens": 3, "output_tokens": 9}),
        ("gemini", {"input_tokens": 3, "output_tokens": 9}),
        ("ollama", {"input_tokens": 3, "output_tokens": 9}),
        ("cohere", {"input_tokens": 3}),
    ],
)
def test_usage_has_one_name_for_all(name: str, usage: dict[str, int]) -> None:
    merged: dict[str, int] = {}
    for _, delta in play(name, *WIRES[name][0]).deltas:
        if delta.kind is U:
            merged |= delta.value
    assert merged == usage


@pytest.mark.parametrize("name", WIRES)
def test_what_is_no_object_is_said_to_be_none(name: str) -> None:
    read = dialects.by_name(name).deltas_in
    assert read(Event("message", "{oops", "", 0, 1, 0)) == [Delta(M, value="not JSON")]
    assert read(Event("message", "5", "", 0, 1, 0)) == [Delta(M, value="not a JSON object")]


# NDJSON


def test_a_line_is_an_event_with_its_place_in_the_body() -> None:
    wire = b"".join(OLLAMA)
    whole = play("ollama", wire)
    starts = [0, *(at + 1 for at, byte in enumerate(wire) if byte == 0x0A)][:-1]

    assert [event.offset for event in whole.events] == starts
    assert [wire[event.offset : event.end].decode() for event in whole.events] == [e.data for e in whole.events]
    for size in (1, 2, 7):
        cut = play("ollama", *(wire[at : at + size] for at in range(0, len(wire), size)))
        assert [event[:5] for event in cut.events] == [event[:5] for event in whole.events]
        assert cut.deltas == whole.deltas


def test_a_blank_line_is_no_event_and_a_last_line_without_its_end_is_one() -> None:
    transcript = play("ollama", said("a"), b"\n", OLLAMA[-1][:-1])
    assert [found.delta.kind for found in transcript.deltas] == [C, F, U, D]
    assert transcript.pending is not None
    assert transcript.outcome is Outcome.OK


def test_a_line_without_end_is_bounded() -> None:
    transcript = play("ollama", said("a"), b"x" * (MAX_LINE_BYTES + 1))
    assert transcript.outcome is Outcome.PROTOCOL_ERROR
    assert "longer than" in (transcript.detail or "")


@pytest.mark.parametrize("media", ["application/json", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize("name", NDJSON)
def test_lines_are_recognised_under_a_wrong_label(name: str, media: str) -> None:
    wire = b"".join(WIRES[name][0])
    for size in (1, 5, len(wire)):
        transcript = stream(*(wire[at : at + size] for at in range(0, len(wire), size)), media=media)
        assert transcript.dialect is dialects.by_name(name)
        assert transcript.outcome is Outcome.OK


def test_one_whole_object_is_no_stream_of_lines() -> None:
    assert not stream(OLLAMA[-1].rstrip(), media="application/json").is_stream
    assert not stream(b'{"error":\n"boom"}\n', media="application/json").is_stream


def test_lines_that_nobody_knows_are_text() -> None:
    transcript = stream(line(foo=1), line(foo=2), media="application/x-ndjson")
    assert transcript.dialect is dialects.by_name("plain-text")
    assert "no dialect recognises its 2 lines" in (transcript.dialect_rule or "")
    assert "its lines are JSON objects" in (transcript.dialect_doubt or "")


def test_html_is_no_stream_of_lines_even_when_they_were_asked_for() -> None:
    wrong = stream(b"<html>\n</html>\n", dialect=dialects.by_name("ollama"), media="text/html")
    assert not wrong.is_stream
    assert wrong.outcome is Outcome.PROTOCOL_ERROR


# How they are asked


@pytest.mark.parametrize("name", WIRES)
def test_a_vendor_is_asked_for_a_stream_of_a_length(name: str) -> None:
    dialect = dialects.by_name(name)
    asked = dialect.ask("PROMPT", "M", 7)

    assert dialect.path
    assert dialect.model
    assert asked.method == "POST"
    assert "7" in json.dumps(asked.body)
    assert asked.query == ({"alt": "sse"} if name == "gemini" else {})


@pytest.mark.parametrize("name", ["anthropic", "cohere", "openai-responses"])
def test_a_sentinel_behind_the_end_marker_is_no_payload_that_cannot_be_read(name: str) -> None:
    wire, _ = WIRES[name]
    for tail in (b"", b"data: [DONE]\n\n"):
        assert play(name, *wire, tail).outcome is Outcome.OK
    assert play(name, *wire, b"data: [D\n\n").outcome is Outcome.PROTOCOL_ERROR


def test_an_event_of_more_parts_than_any_answer_has_is_not_kept() -> None:
    def chunk(choices: int) -> bytes:
        return data(choices=[{"index": n, "delta": {"content": "a"}} for n in range(choices)])

    most = play("openai-chat", chunk(dialects.MOST_DELTAS), b"data: [DONE]\n\n")
    assert (most.outcome, len(most.tokens)) == (Outcome.OK, 1)
    more = play("openai-chat", chunk(dialects.MOST_DELTAS + 1), b"data: [DONE]\n\n")
    assert (more.outcome, len(more.deltas)) == (Outcome.PROTOCOL_ERROR, 2)


def test_anthropic_is_always_told_a_limit() -> None:
    body = dialects.by_name("anthropic").ask("p", "m", None).body or {}
    assert body["max_tokens"] > 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/openai/deployments/d/chat/completions", "openai-chat"),
        ("/v1/responses", "openai-responses"),
        ("/v1/messages", "anthropic"),
        ("/v1beta/models/m:streamGenerateContent", "gemini"),
        ("/v2/chat", "cohere"),
        ("/api/chat", None),
        ("/messages", None),
    ],
)
def test_a_path_tells_the_dialect_only_where_nobody_else_has_it(path: str, name: str | None) -> None:
    found = dialects.at_path(path)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("openai-chat", data(choices=[], usage={"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 64}})),
        ("openai-responses",
         item("completed", response={"usage": {"input_tokens": 90, "input_tokens_details": {"cached_tokens": 64}}})),
        ("anthropic", typed("message_start", message={"usage": {"input_tokens": 26, "cache_read_input_tokens": 64}})),
        ("gemini", candidate({"text": "x"}, usageMetadata={"promptTokenCount": 90, "cachedContentTokenCount": 64})),
        ("cohere", typed("message-end", delta={"usage": {"tokens": {"input_tokens": 90}, "cached_tokens": 64}})),
        ("ai-sdk-ui", data(type="finish", messageMetadata={"usage": {"inputTokens": 90, "cachedInputTokens": 64}})),
        ("langgraph",
         b"event: messages\ndata: " + json.dumps([{"type": "AIMessageChunk", "content": "x", "usage_metadata":
            {"input_tokens": 90, "input_token_details": {"cache_read": 64}}}, {}]).encode() + b"\n\n"),
    ],
)  # fmt: skip
def test_the_prompt_tokens_from_a_cache_are_read_in_every_dialect_that_has_them(name: str, event: bytes) -> None:
    deltas = dialects.by_name(name).deltas_in(stream(event).events[0])
    usage = next(delta.value for delta in deltas if delta.kind is U)
    assert prompt_counts(usage) == PromptCounts(90, 64)


@pytest.mark.parametrize(
    ("rest", "counted"),
    [
        ((), (3, "token events")),
        ((typed("error", error={"type": "overloaded_error", "message": "Overloaded"}),), (3, "token events")),
        ((typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),), (7, "usage")),
    ],
    ids=["cut", "failed", "whole"],
)
def test_the_count_at_the_start_of_a_message_is_not_that_of_its_end(
    rest: tuple[bytes, ...], counted: tuple[int, str]
) -> None:
    """A stream that broke off after three tokens had one by usage, and no TPOT."""
    start = typed("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}})
    made = record_of(play("anthropic", start, *[block(0, type="text_delta", text="a ")] * 3, *rest), "s", url="u")
    assert (made.output_tokens, made.tokens_source) == counted
    assert made.usage_prompt_tokens == 3
