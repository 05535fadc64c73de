"""The streams of frameworks: the AI SDK's UI message stream, and a LangGraph server's run stream."""

import json
from typing import Any

import pytest

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from tests.builders.mock_streams import writes
from tests.builders.tapes import head, play, stream

AI_SDK = dialects.by_name("ai-sdk-ui")
LANGGRAPH = dialects.by_name("langgraph")
HEADER = "x-vercel-ai-ui-message-stream: v1"


def data(value: Any, name: str | None = None) -> bytes:
    lines = f"event: {name}\n" if name else ""
    return f"{lines}data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


# What `streamText(...).pipeUIMessageStreamToResponse(response)` of the npm package ai 6.0.326 wrote.
UI_STREAM = (
    data({"type": "start"}),
    data({"type": "start-step"}),
    data({"type": "reasoning-start", "id": "r"}),
    data({"type": "reasoning-delta", "id": "r", "delta": "Hm "}),
    data({"type": "reasoning-end", "id": "r"}),
    data({"type": "text-start", "id": "0"}),
    data({"type": "text-delta", "id": "0", "delta": "the "}),
    data({"type": "text-delta", "id": "0", "delta": "fox"}),
    data({"type": "text-end", "id": "0"}),
    data({"type": "finish-step"}),
    data({"type": "finish", "finishReason": "stop"}),
    b"data: [DONE]\n\n",
)


def announced(*events: bytes) -> Transcript:
    """The transcript of a stream whose head has the AI SDK's header."""
    first = head("Content-Type: text/event-stream", HEADER)
    return interpret(play([(0, first), *((10_000_000 * (n + 1), event) for n, event in enumerate(events))]), keep=True)


@pytest.mark.parametrize("read", [stream, announced])
def test_the_ai_sdk_s_stream_is_recognised_with_and_without_its_header(read: Any) -> None:
    transcript = read(*UI_STREAM)

    assert (transcript.dialect, transcript.dialect_doubt) == (AI_SDK, None)
    assert transcript.outcome is Outcome.OK
    assert [text for _, text in transcript.tokens] == ["Hm ", "the ", "fox"]
    assert transcript.text == "the fox"
    assert transcript.first(Kind.FINISH).delta.value == "stop"


def test_the_header_says_so_where_the_events_are_few() -> None:
    transcript = announced(data({"type": "start"}), data({"type": "error", "errorText": "An error occurred."}))
    assert transcript.dialect is AI_SDK
    assert transcript.dialect_rule == "the response has the header x-vercel-ai-ui-message-stream"
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "An error occurred.")


def test_the_ai_sdk_s_other_chunks() -> None:
    def deltas(value: Any) -> list[Delta]:
        return AI_SDK.deltas_in(stream(data(value)).events[0])

    assert deltas({"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{"}) == [Delta(Kind.TOOL, "{")]
    assert deltas({"type": "tool-output-error", "toolCallId": "c", "errorText": "no"}) == [Delta(Kind.META)]
    assert deltas({"type": "abort", "reason": "timeout"}) == [Delta(Kind.ERROR, value={"message": "aborted: timeout"})]
    usage = {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}
    assert deltas({"type": "finish", "messageMetadata": {"totalUsage": usage}}) == [
        Delta(Kind.USAGE, value={"input_tokens": 5, "output_tokens": 9}),
        Delta(Kind.FINISH, value="finish"),
    ]


def test_the_ai_sdk_s_coded_lines_of_version_4_are_not_taken_for_text_without_a_doubt() -> None:
    first = head("Content-Type: text/plain", "x-vercel-ai-data-stream: v1")
    transcript = interpret(play([(0, first), (1, b'0:"Hel"\n'), (2, b'0:"lo"\n')]))
    assert "x-vercel-ai-data-stream" in (transcript.dialect_doubt or "")


def chunk(text: str, kind: str = "AIMessageChunk", **more: Any) -> bytes:
    message = {"content": text, "type": kind, "id": "run--1", "response_metadata": {}, "tool_call_chunks": [], **more}
    return data([message, {"langgraph_node": "agent"}], "messages")


def partial(text: str, name: str = "messages/partial") -> bytes:
    return data([{"content": text, "type": "ai", "id": "run--1"}], name)


METADATA = data({"run_id": "1f0", "attempt": 1}, "metadata")


def test_langgraph_s_chunks_are_tokens_and_everything_around_them_is_not() -> None:
    transcript = stream(
        METADATA,
        data({"messages": [{"content": "hi", "type": "human"}]}, "values"),
        chunk("Hel"),
        chunk("lo"),
        chunk("sunny", kind="tool"),
        data({"agent": {"messages": []}}, "updates"),
        data("any JSON", "custom"),
        chunk("", response_metadata={"finish_reason": "stop"}, usage_metadata={"input_tokens": 3, "output_tokens": 2}),
        chunk("Hello", kind="ai"),
    )

    assert (transcript.dialect, transcript.dialect_doubt, transcript.outcome) == (LANGGRAPH, None, Outcome.OK)
    assert [text for _, text in transcript.tokens] == ["Hel", "lo"]
    assert transcript.first(Kind.FINISH).delta.value == "stop"
    assert transcript.first(Kind.USAGE).delta.value == {"input_tokens": 3, "output_tokens": 2}


def test_langgraph_s_partial_messages_hold_all_text_so_far_and_only_the_new_part_is_a_token() -> None:
    texts = (partial("Hel"), partial("Hello"), partial("Hello", "messages/complete"), partial("An"), partial("And"))
    transcript = stream(METADATA, *texts, data(None, "end"))
    assert [text for _, text in transcript.tokens] == ["Hel", "lo", "An", "d"]
    assert transcript.first(Kind.DONE) is not None


def test_langserve_begins_as_langgraph_does_and_is_not_taken_for_it() -> None:
    chunks = [data({"content": word, "type": "AIMessageChunk"}, "data") for word in ("Hel", "lo", "!")]
    transcript = stream(METADATA, *chunks, b"event: end\n\n")
    assert transcript.dialect is not LANGGRAPH
    assert transcript.outcome is Outcome.OK
    assert transcript.dialect_doubt is not None  # where the text is, only the user can say
    assert stream(METADATA).dialect is LANGGRAPH
    assert stream(METADATA, chunk("Hel"), *chunks[:1]).dialect is LANGGRAPH


def test_an_answer_that_comes_only_in_a_state_is_one_token_event_and_one_that_was_streamed_is_not_counted_again() -> (
    None
):
    user, answer = {"type": "human", "content": "hi"}, {"type": "ai", "content": "Hello"}
    states = (data({"messages": [user]}, "values"), data({"messages": [user, answer]}, "values"))
    update = data({"agent": {"messages": [answer]}}, "updates")

    assert [text for _, text in stream(METADATA, *states, update).tokens] == ["Hello"]
    assert [text for _, text in stream(METADATA, states[0], chunk("Hel"), chunk("lo"), states[1], update).tokens] == [
        "Hel", "lo",
    ]  # fmt: skip


def test_langgraph_s_reasoning_parts_tool_calls_and_subgraphs() -> None:
    transcript = stream(
        chunk("", additional_kwargs={"reasoning_content": "Hm"}),
        chunk([{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "Yes"}]),  # type: ignore[arg-type]
        chunk("", tool_call_chunks=[{"name": "f", "args": "{}", "index": 0}]),
        chunk("sub").replace(b"event: messages", b"event: messages|agent:1f0"),
    )
    assert [(found.delta.kind, found.delta.text) for found in transcript.deltas] == [
        (Kind.REASONING, "Hm"), (Kind.REASONING, "so"), (Kind.CONTENT, "Yes"), (Kind.TOOL, "{}"), (Kind.CONTENT, "sub"),
    ]  # fmt: skip


def test_an_error_of_langgraph_is_an_error_with_its_text() -> None:
    transcript = stream(METADATA, chunk("a"), data({"error": "ValueError", "message": "boom"}, "error"))
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "boom")


@pytest.mark.parametrize("name", ["ai-sdk-ui", "langgraph"])
def test_the_mock_s_stream_is_read_whole(name: str) -> None:
    body = b"".join(written.split(b"\r\n", 1)[1][:-2] for written in writes(name, "tokens=12 reasoning=4")[1:-1])
    transcript = stream(body)

    assert (transcript.dialect, transcript.dialect_doubt) == (dialects.by_name(name), None)
    assert (transcript.outcome, len(transcript.tokens)) == (Outcome.OK, 16)
    kinds = [found.delta.kind for found in transcript.deltas if found.delta.is_token]
    assert kinds == [Kind.REASONING] * 4 + [Kind.CONTENT] * 12
