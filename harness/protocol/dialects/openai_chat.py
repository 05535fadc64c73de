"""OpenAI Chat Completions, and everything that speaks it (docs/protocols.md#openai-chat-completions)."""

import re
from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import text_in
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.typed import decoder

SENTINEL = "[DONE]"
_REASONING_KEYS = (
    "reasoning_content",
    "reasoning",
)  # DeepSeek and older vLLM; OpenRouter, Ollama and newer vLLM
# OpenRouter and LiteLLM send the same thought as a list of parts, beside such a text or instead of it.
_REASONING_PARTS = ("reasoning_details", "thinking_blocks")
_PART_TEXTS = ("text", "summary", "thinking")


class _PlainDelta(msgspec.Struct, frozen=True, gc=False):
    content: str
    reasoning_content: None = None
    reasoning: None = None
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


class OpenAIChat(Defaults):
    name = "openai-chat"
    summary = "OpenAI Chat Completions: data: {chat.completion.chunk}, then data: [DONE]"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "data: [DONE]"
    vendor = "openai"
    api = "OpenAI's Chat Completions"
    path = "/v1/chat/completions"
    places = re.compile(r"/chat/completions/?$")
    model = "gpt-4o-mini"

    def deltas_in(self, event: Event) -> list[Delta]:
        data = event.data
        if data == SENTINEL:
            return [Delta(Kind.DONE)]
        if '"content"' in data and '"content":null' not in data:
            try:
                text = _plain.decode(data).choices[0].delta.content
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                text = ""
            if text:
                return [Delta(Kind.CONTENT, text)]
        return self.read_any(data)

    def texts(self, data: list[str]) -> list[str] | None:
        joined = ",".join(data)
        # Joined by commas, two halves of one object could decode as one. So there must be a `},{` between all of them.
        if joined.count("},{") != len(data) - 1 or "\n" in joined:
            return None
        try:
            chunks = _plain_run.decode(f"[{joined}]")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        texts = [chunk.choices[0].delta.content for chunk in chunks]
        return texts if len(texts) == len(data) and all(texts) else None

    def read_any(self, data: str) -> list[Delta]:
        """The rule: the deltas of any chunk. For a plain chunk `deltas_in` gives the same in a fourth of the time
        (test_dialects.py compares the two).
        """
        try:
            payload = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return [Delta(Kind.META, value=f"not JSON: {error}")]
        if not isinstance(payload, dict):
            return [Delta(Kind.META, value="not a JSON object")]
        if payload.get("error"):
            return [Delta(Kind.ERROR, value=payload["error"])]
        deltas: list[Delta] = []
        choices = payload.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                deltas += _read_choice(choice)
        if isinstance(payload.get("usage"), dict):
            deltas.append(Delta(Kind.USAGE, value=payload["usage"]))
        return deltas or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        for mark in ('"chat.completion.chunk"', '"prompt_filter_results"'):
            if mark in event.data:
                return f"JSON objects with {mark}"
        if '"choices"' in event.data and '"delta"' in event.data:
            return 'JSON objects with "choices" and "delta"'
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return RequestTemplate("POST", body, {})


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


def _reasoning(delta: dict[str, Any]) -> str:
    """The thought in a delta, which some servers send twice, as a text and as parts; empty without one."""
    for key in _REASONING_KEYS:
        if isinstance(delta.get(key), str) and delta[key]:
            return str(delta[key])
    for key in _REASONING_PARTS:
        parts = delta.get(key)
        text = "".join(map(_thought_in, parts)) if isinstance(parts, list) else ""
        if text:
            return text
    return ""


def _thought_in(part: Any) -> str:
    return next((text for name in _PART_TEXTS if (text := text_in(part, name))), "")


def _read_choice(choice: dict[str, Any]) -> list[Delta]:
    delta = choice.get("delta")
    deltas: list[Delta] = []
    if isinstance(delta, dict):
        if thought := _reasoning(delta):
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
    if choice.get("finish_reason"):
        deltas.append(Delta(Kind.FINISH, value=str(choice["finish_reason"])))
    return deltas
