"""Which dialect a run speaks: by the path, a header, or the majority of the payloads; never by a foreign event."""

import json
from typing import Any

import pytest

from streamgauge.metrics.facts import ttft_ns
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.choice import Choice, Origin, announced, choose
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import record_of
from streamgauge.units import MS
from streamgauge.wire import Head
from tests.builders.mock_streams import writes
from tests.builders.tapes import stream

FOREIGN = {
    "a comment as data": b"data: : OPENROUTER PROCESSING\n\n",
    "a ping": b"event: ping\ndata: {}\n\n",
    "metadata": b'event: metadata\ndata: {"run_id": "1"}\n\n',
    "a keepalive": b'data: {"type":"keepalive"}\n\n',
    "a start": b'data: {"type":"start"}\n\n',
    "a status": b'event: status\ndata: {"state":"thinking"}\n\n',
    "a conversation": b'data: {"conversation_id":"c1","message_id":"m1"}\n\n',
    "a heartbeat": b"event: heartbeat\ndata: null\n\n",
    "an empty comment": b":\n\n",
    "a time": b'data: {"t":1}\n\n',
}
# Dialects whose tokens are an event each; the first write of the mock is the head.
NAMES = ["openai-chat", "openai-completions", "anthropic", "cohere", "openai-responses", "token-done", "event-json",
         "json-string", "ai-sdk-ui", "langgraph"]  # fmt: skip


def body(name: str) -> list[bytes]:
    """The events of a clean stream of the mock."""
    return [written.split(b"\r\n", 1)[1][:-2] for written in writes(name, "tokens=8")[1:-1]]


@pytest.mark.parametrize("front", FOREIGN)
@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_event_in_front_changes_neither_dialect_nor_tokens_nor_the_first_token(name: str, front: str) -> None:
    events = body(name)
    clean, fronted = stream(*events), stream(FOREIGN[front], *events)

    assert (fronted.dialect, fronted.dialect_doubt) == (dialects.by_name(name), None)
    assert [text for _, text in fronted.tokens] == [text for _, text in clean.tokens]
    times = [ttft_ns(record_of(transcript, "s", url="u")) for transcript in (clean, fronted)]
    assert times[0] is not None
    assert times[1] == times[0] + 10 * MS


@pytest.mark.parametrize("front", FOREIGN)
@pytest.mark.parametrize("name", ["raw-text", "event-text"])
def test_a_foreign_event_is_not_a_token_of_text(name: str, front: str) -> None:
    events = [b"data: %b\n\n" % word for word in (b"one", b"two", b"three")]
    if name == "event-text":
        events = [b"event: token\n" + event for event in events]
    transcript = stream(FOREIGN[front], *events)

    assert (transcript.dialect or dialects.by_name("openai-chat")).name == name
    assert transcript.dialect_doubt is None
    tokens = [text for _, text in transcript.tokens]
    # A comment as data cannot be told from text.
    assert tokens[-3:] == ["one", "two", "three"]
    assert len(tokens) == 3 + (front == "a comment as data")


def test_an_error_in_front_leaves_the_dialect_to_the_other_payloads() -> None:
    transcript = stream(b'data: {"error":{"message":"boom"}}\n\n', *body("openai-chat"))
    assert transcript.dialect is dialects.by_name("openai-chat")
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "boom")


def payload(value: Any, name: str = "message") -> Event:
    return Event(name, json.dumps(value), "", 0, 0, 0)


CHUNK = payload({"object": "chat.completion.chunk", "choices": [{"delta": {"content": "x"}}]})
TOKEN = payload({"token": "x", "done": False})
OTHER = payload({"out": "x"})
CHAT = Origin("/v1/chat/completions")


def named(choice: Choice) -> tuple[str | None, bool]:
    """The name of the dialect, and whether there is a doubt."""
    return choice.dialect.name if choice.dialect else None, choice.doubt is not None


def test_the_path_says_it_also_where_no_payload_does() -> None:
    assert named(choose(CHAT, [])) == ("openai-chat", False)
    assert announced(CHAT).reason == "the URL's path is that of openai-chat"


def test_payloads_against_the_path_are_a_doubt_or_where_all_agree_decide() -> None:
    assert named(choose(CHAT, [TOKEN, TOKEN])) == ("token-done", False)
    assert named(choose(CHAT, [TOKEN, TOKEN, CHUNK])) == ("token-done", True)
    assert named(choose(CHAT, [OTHER, OTHER, CHUNK])) == ("openai-chat", True)
    assert named(choose(CHAT, [OTHER, CHUNK])) == ("openai-chat", False)


def test_an_object_under_the_key_of_a_text_is_another_shape() -> None:
    """Source: StreamResponse of Text Generation Inference's own API, /generate_stream."""
    tgi = payload({"index": 1, "token": {"id": 5, "text": "Hi", "special": False}, "generated_text": None})
    assert named(choose(Origin("/generate_stream"), [tgi, tgi])) == ("raw-text", True)


def test_a_header_decides_before_the_payloads() -> None:
    head = Head(200, "OK", "1.1", (("x-vercel-ai-ui-message-stream", "v1"),))
    assert named(choose(Origin("/chat", head), [payload({"type": "start"})])) == ("ai-sdk-ui", False)


def test_the_parts_that_an_application_adds_to_an_ai_sdk_stream_are_its_own() -> None:
    text = payload({"type": "text-delta", "id": "0", "delta": "x"})
    parts = [payload({"type": "data-status", "data": {"step": step}}) for step in range(5)]
    assert named(choose(Origin("/api/chat"), [payload({"type": "start"}), text, *parts])) == ("ai-sdk-ui", False)
    assert named(choose(Origin("/api/chat"), [text, *[payload({"type": "data-status"})] * 5])) == ("ai-sdk-ui", True)


def test_without_evidence_nothing_is_decided() -> None:
    events = [payload({"error": "x"}), payload({}, "ping"), Event("message", "[DONE]", "", 0, 0, 0)]
    assert named(choose(Origin("/chat"), events)) == (None, False)


def test_white_space_that_keeps_a_connection_alive_does_not_outvote_the_answer() -> None:
    space = Event("message", " ", "", 0, 0, 0)
    assert named(choose(Origin("/chat"), [space, CHUNK, *[space] * 9])) == ("openai-chat", False)
    assert named(choose(CHAT, [space, CHUNK, *[space] * 9])) == ("openai-chat", False)
    assert named(choose(Origin("/chat"), [space, space])) == ("raw-text", False)


def test_a_reader_is_found_again_by_its_key() -> None:
    for dialect in (*dialects.DIALECTS, dialects.amid_json("raw-text"), dialects.amid_json("event-text")):
        assert dialects.by_key(dialects.key_of(dialect)) is dialect
