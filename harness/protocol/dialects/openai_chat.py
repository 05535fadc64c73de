"""OpenAI Chat Completions, and everything that speaks it (docs/protocols.md#openai-chat-completions)."""

import re
from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.openai_chunks import OpenAIChunks, Thoughtless, reasoning_in
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.typed import decoder


class _PlainDelta(Thoughtless, frozen=True, gc=False, kw_only=True):
    content: str
    refusal: None = None
    tool_calls: None = None


class _PlainChoice(msgspec.Struct, frozen=True, gc=False):
    delta: _PlainDelta
    finish_reason: None = None


class _PlainChunk(msgspec.Struct, frozen=True, gc=False):
    """Nearly every chunk: one choice with text, and no other field with a meaning here. msgspec refuses all others."""

    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None


_plain = decoder(_PlainChunk)
_plain_run = decoder(list[_PlainChunk])


class OpenAIChat(OpenAIChunks):
    name = "openai-chat"
    summary = "OpenAI Chat Completions: data: {chat.completion.chunk}, then data: [DONE]"
    api = "OpenAI's Chat Completions, and the older Completions"
    path = "/v1/chat/completions"
    places = re.compile(r"/chat/completions/?$")
    model = "gpt-4o-mini"
    text_mark = '"content"'

    def plain_text(self, data: str) -> str:
        return _plain.decode(data).choices[0].delta.content

    def plain_texts(self, array: str) -> list[str]:
        return [chunk.choices[0].delta.content for chunk in _plain_run.decode(array)]

    def read_choice(self, choice: dict[str, Any]) -> list[Delta]:
        return _read_delta(choice.get("delta"))

    def prompted(self, prompt: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": prompt}]}

    def sniff(self, event: Event) -> str | None:
        for mark in ('"chat.completion.chunk"', '"prompt_filter_results"'):
            if mark in event.data:
                return f"JSON objects with {mark}"
        if '"choices"' in event.data and '"delta"' in event.data:
            return 'JSON objects with "choices" and "delta"'
        return None


def _parts(content: list[Any]) -> list[Delta]:
    """Mistral's array of parts: texts, thoughts, which hold texts of their own, and references, which have no text.

    Successive texts are one delta, as the client shows them.
    """
    deltas: list[Delta] = []
    for part in content:
        if not isinstance(part, dict):
            continue
        thought = part.get("thinking")
        kind = Kind.CONTENT if thought is None else Kind.REASONING
        text = _text_of(part if thought is None else thought)
        if text and deltas and deltas[-1].kind is kind:
            deltas[-1] = Delta(kind, deltas[-1].text + text)
        elif text:
            deltas.append(Delta(kind, text))
    return deltas


def _text_of(part: Any) -> str:
    """The text of a part, of a list of parts, or of a string."""
    if isinstance(part, list):
        return "".join(_text_of(inner) for inner in part if not isinstance(inner, list))
    found = part.get("text") if isinstance(part, dict) else part
    return found if isinstance(found, str) else ""


def _read_delta(delta: Any) -> list[Delta]:
    deltas: list[Delta] = []
    if not isinstance(delta, dict):
        return deltas
    if thought := reasoning_in(delta):
        deltas.append(Delta(Kind.REASONING, thought))
    content = delta.get("content")
    if isinstance(content, list):
        deltas += _parts(content)
    text = content if isinstance(content, str) else ""
    if isinstance(delta.get("refusal"), str):
        text += delta["refusal"]
    if text:
        deltas.append(Delta(Kind.CONTENT, text))
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            deltas.append(Delta(Kind.TOOL, function["arguments"]))
    return deltas
