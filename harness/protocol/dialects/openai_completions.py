"""OpenAI's older Completions: a prompt in, text out (docs/protocols.md#openai-completions)."""

import re
from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.openai_chunks import OpenAIChunks, Thoughtless, reasoning_in
from streamgauge.protocol.dialects.payload import dig, object_of, text_in
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.typed import decoder

OBJECT = "text_completion"


class _PlainChoice(Thoughtless, frozen=True, gc=False, kw_only=True):
    text: str
    finish_reason: None = None


class _PlainChunk(msgspec.Struct, frozen=True, gc=False):
    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None


_plain = decoder(_PlainChunk)
_plain_run = decoder(list[_PlainChunk])


class OpenAICompletions(OpenAIChunks):
    name = "openai-completions"
    summary = "OpenAI Completions: data: {text_completion}, then data: [DONE]"
    # The checks of openai-chat judge it too.
    path = "/v1/completions"
    # llama.cpp speaks a shape of its own at /completions, and Mistral's /v1/fim/completions has chunks of chat.
    places = re.compile(r"/(?:v\d+|beta|deployments/[^/]+)/completions/?$")
    model = "gpt-3.5-turbo-instruct"
    text_mark = '"text"'

    def plain_text(self, data: str) -> str:
        return _plain.decode(data).choices[0].text

    def plain_texts(self, array: str) -> list[str]:
        return [chunk.choices[0].text for chunk in _plain_run.decode(array)]

    def read_choice(self, choice: dict[str, Any]) -> list[Delta]:
        # LiteLLM puts the reasoning of a chat model beside the text.
        found = ((Kind.REASONING, reasoning_in(choice)), (Kind.CONTENT, text_in(choice, "text")))
        return [Delta(kind, text) for kind, text in found if text]

    def prompted(self, prompt: str) -> dict[str, Any]:
        return {"prompt": prompt}

    def sniff(self, event: Event) -> str | None:
        payload = object_of(event.data)
        choices = dig(payload, "choices")
        if not isinstance(choices, list) or any("delta" in choice for choice in choices if isinstance(choice, dict)):
            return None
        if dig(payload, "object") == OBJECT:
            return f'JSON objects with "object": "{OBJECT}"'
        if any(isinstance(dig(choice, "text"), str) for choice in choices):
            return 'JSON objects with "text" in their "choices"'
        return None
