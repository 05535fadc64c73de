"""OpenAI Completions as servers write it, and what it must not be taken for.

Sources: vLLM's serving_completion.py, llama.cpp's server-task.cpp, Text Generation Inference's server.rs, LiteLLM's
TextCompletionStreamWrapper, Ollama's openai.go.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.choice import Choice, Origin, choose
from streamgauge.protocol.dialects.openai_completions import OpenAICompletions
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from tests.builders.tapes import stream

COMPLETIONS = dialects.by_name("openai-completions")
C, F, U, D = Kind.CONTENT, Kind.FINISH, Kind.USAGE, Kind.DONE
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = b"data: [DONE]\n\n"


def value(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": list(choices), **more}


def wire(*choices: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps(value(*choices, **more), separators=(",", ":")).encode() + b"\n\n"


def text(piece: str | None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "text": piece, "logprobs": None, "finish_reason": finish, **more}


def event(payload: dict[str, Any]) -> Event:
    return Event("message", json.dumps(payload), "", 0, 0, 0)


WIRES = {
    "OpenAI": (
        wire(text("Hel"), usage=None),
        wire(text("lo"), usage=None),
        wire(text("", "stop"), usage=None),
        wire(usage=USAGE),
        DONE,
    ),
    # The last text shares its chunk with the reason, and members that other servers leave out are null.
    "vLLM": (
        wire(text("Hel", stop_reason=None, token_ids=None, prompt_token_ids=None), usage=None),
        wire(text("lo", "stop", stop_reason=None, token_ids=None), usage=None),
        wire(usage=USAGE),
        DONE,
    ),
    "vLLM, usage in every chunk": (
        wire(text("Hel"), usage=USAGE | {"completion_tokens": 1}),
        wire(text("lo", "stop"), usage=USAGE),
        wire(usage=USAGE),
        DONE,
    ),
    "llama.cpp": (
        wire(text(""), timings={"prompt_n": 3}),
        wire(text("Hel")),
        wire(text("lo")),
        wire(text("", "stop"), usage=USAGE, timings={"predicted_n": 2}),
        DONE,
    ),
    # Its finish reason is an empty string until the end, where older versions have no usage.
    "Text Generation Inference": (
        wire(text("Hel", "")),
        wire(text("lo", "stop"), usage=USAGE),
        DONE,
    ),
    # What has no content in a chunk of chat has none here: null.
    "LiteLLM": (
        wire(text("")),
        wire(text("Hel")),
        wire(text("lo")),
        wire(text(None, "stop"), usage=USAGE),
        DONE,
    ),
    "Ollama": (
        wire(text("Hel"), system_fingerprint="fp_ollama"),
        wire(text("lo"), system_fingerprint="fp_ollama"),
        wire(text("", "stop"), system_fingerprint="fp_ollama", usage=USAGE),
        DONE,
    ),
}


def by_kind(transcript: Transcript, kind: Kind) -> list[Delta]:
    return [found.delta for found in transcript.deltas if found.delta.kind is kind]


@pytest.mark.parametrize("told", [True, False], ids=["told", "detected"])
@pytest.mark.parametrize("name", WIRES)
def test_every_server_s_stream_is_read_and_recognised(name: str, told: bool) -> None:
    transcript = stream(*WIRES[name], dialect=COMPLETIONS if told else None)

    assert (transcript.dialect, transcript.dialect_doubt) == (COMPLETIONS, None)
    assert (transcript.outcome, transcript.detail) == (Outcome.OK, None)
    assert [piece for _, piece in transcript.tokens] == ["Hel", "lo"]
    assert by_kind(transcript, F) == [Delta(F, value="stop")]
    assert by_kind(transcript, U)[-1] == Delta(U, value=USAGE)
    assert by_kind(transcript, D) == [Delta(D)]


def test_choices_of_one_event_are_tokens_each() -> None:
    found = COMPLETIONS.deltas_in(event(value(text("a"), text("b", "length", index=1))))
    assert found == [Delta(C, "a"), Delta(C, "b"), Delta(F, value="length")]


def test_choices_may_also_come_in_events_of_their_own() -> None:
    """`n` of OpenAI and vLLM, which interleaves the choices."""
    transcript = stream(
        wire(text("a")), wire(text("x", index=1)), wire(text("b", "stop")), wire(text("y", "stop", index=1)), DONE
    )
    assert [piece for _, piece in transcript.tokens] == ["a", "x", "b", "y"]
    assert len(by_kind(transcript, F)) == 2
    assert transcript.outcome is Outcome.OK


def test_reasoning_beside_the_text_is_no_answer() -> None:
    """LiteLLM copies `reasoning_content` of a chat model into the choice."""
    found = COMPLETIONS.deltas_in(event(value(text("Hi", reasoning_content="hm"))))
    assert found == [Delta(Kind.REASONING, "hm"), Delta(C, "Hi")]


ERROR = {"message": "boom", "type": "server_error", "param": None, "code": None}


@pytest.mark.parametrize("end", [(), (DONE,)], ids=["OpenAI", "vLLM, which then ends as ever"])
def test_an_error_in_mid_stream_is_the_outcome(end: tuple[bytes, ...]) -> None:
    transcript = stream(wire(text("Hel")), b"data: " + json.dumps({"error": ERROR}).encode() + b"\n\n", *end)
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "boom")
    assert transcript.dialect is COMPLETIONS


def test_a_finish_reason_error_is_a_failure() -> None:
    transcript = stream(wire(text("Hel")), wire(text("", "error")), DONE)
    assert transcript.outcome is Outcome.ERROR_EVENT


def test_a_stream_without_its_marker_is_truncated() -> None:
    transcript = stream(*WIRES["vLLM"][:-1])
    assert transcript.outcome is Outcome.TRUNCATED
    assert "data: [DONE]" in (transcript.detail or "")


def test_it_asks_for_a_prompt_and_for_usage() -> None:
    asked = {"model": "m", "prompt": "p", "stream": True, "stream_options": {"include_usage": True}}
    assert COMPLETIONS.ask("p", "m", None).body == asked
    assert COMPLETIONS.ask("p", "m", 7).body == asked | {"max_tokens": 7}


# What it is not


def named(choice: Choice) -> tuple[str | None, bool]:
    """The name of the dialect, and whether there is a doubt."""
    return choice.dialect.name if choice.dialect else None, choice.doubt is not None


CHAT = event({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x"}}]})
MISLABELLED = event({"object": "text_completion", "choices": [{"index": 0, "delta": {"content": "x"}}]})
UNLABELLED = event({"choices": [{"text": "x"}]})
TOKEN = event({"token": "x", "done": False})
LLAMA_CPP = event({"index": 0, "content": "x", "tokens": [5], "stop": False, "id_slot": 0})
TGI = event({"index": 1, "token": {"id": 5, "text": "x", "special": False}, "generated_text": None})
COHERE = event({"type": "content-delta", "delta": {"message": {"content": {"text": "x"}}}})
TEXT = event(value(text("x")))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/completions", "openai-completions"),
        ("/v1/completions/", "openai-completions"),
        ("/openai/v1/completions", "openai-completions"),
        ("/beta/completions", "openai-completions"),
        ("/openai/deployments/gpt/completions", "openai-completions"),
        ("/v1/chat/completions", "openai-chat"),
        ("/openai/deployments/gpt/chat/completions", "openai-chat"),
        ("/v1/fim/completions", None),
        ("/completions", None),
        ("/completion", None),
        ("/v1/completions/123", None),
    ],
)
def test_the_path_tells_it_where_it_can(path: str, name: str | None) -> None:
    assert named(choose(Origin(path), [])) == (name, False)


@pytest.mark.parametrize("path", ["/v1/completions", "/api/generate-text"])
@pytest.mark.parametrize(
    ("other", "name"),
    [
        (CHAT, "openai-chat"),
        (MISLABELLED, "openai-chat"),
        (TOKEN, "token-done"),
        (COHERE, "cohere"),
        (TEXT, "openai-completions"),
        (UNLABELLED, "openai-completions"),
    ],
)
def test_its_payloads_are_told_from_those_of_others(path: str, other: Event, name: str) -> None:
    assert named(choose(Origin(path), [other, other, other])) == (name, False)


@pytest.mark.parametrize("other", [LLAMA_CPP, TGI])
def test_shapes_that_no_dialect_has_are_not_taken_for_it_without_a_doubt(other: Event) -> None:
    """llama.cpp's own shape came at /v1/completions until 2025."""
    assert COMPLETIONS.sniff(other) is None
    assert choose(Origin("/v1/completions"), [other, other, other]).doubt is not None


def test_its_payloads_at_the_path_of_chat_decide() -> None:
    assert named(choose(Origin("/v1/chat/completions"), [TEXT, TEXT])) == ("openai-completions", False)


def test_a_token_that_is_a_word_of_the_other_shape_does_not_deceive() -> None:
    words = [event(value(text(word))) for word in ('"delta"', '"choices": [{"delta"', '"chat.completion.chunk"')]
    assert named(choose(Origin("/x"), words)) == ("openai-completions", False)


def test_no_other_dialect_sees_its_own_shape_in_it() -> None:
    events = [TEXT, UNLABELLED, event(value(usage=USAGE)), event(value(text("", "stop")))]
    assert [one.name for one in dialects.DIALECTS if one.json_payload and any(map(one.sniff, events))] == [
        "openai-completions"
    ]


# The fast paths

ANY = st.sampled_from([None, "", "x", "€", 0, 1.5, True, [], ["x"], {}, {"text": "x"}, [{"text": "x"}]])
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "text": ANY,
        "finish_reason": ANY,
        "logprobs": ANY,
        "delta": ANY,
        "reasoning_content": ANY,
        "reasoning_details": ANY,
        "thinking_blocks": ANY,
    },
)
CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2) | ANY}, optional={"usage": ANY, "error": ANY, "object": ANY}
)


@given(CHUNK, st.sampled_from([(",", ":"), (", ", ": ")]))
def test_a_plain_chunk_is_read_as_any_other(chunk: dict[str, Any], separators: tuple[str, str]) -> None:
    data = json.dumps(chunk, separators=separators)
    reader = OpenAICompletions()
    assert reader.deltas_in(Event("message", data, "", 0, 0, 0)) == reader.read_any(data)
    assert reader.sniff(Event("message", data, "", 0, 0, 0)) is None or isinstance(chunk["choices"], list)


@given(st.lists(CHUNK, min_size=1, max_size=4))
def test_the_texts_of_many_are_those_of_each(chunks: list[dict[str, Any]]) -> None:
    data = [json.dumps(chunk) for chunk in chunks]
    texts = OpenAICompletions().texts(data)
    each = [OpenAICompletions().read_any(one) for one in data]
    assert texts is None or each == [[Delta(C, piece)] for piece in texts]
