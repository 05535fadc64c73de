"""OpenAI's older Completions (docs/protocols.md#openai-completions): text, finish, usage, `[DONE]`.

A prompt of tokens and several prompts are legal, and refused: a stream has one choice here, and tokens no directive.
"""

import json
from typing import Any

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.dialects.base import Encoder, json_object
from streamgauge.mock_provider.dialects.openai_chunks import Chunks, OpenAIChunks, opening_fields, usage_of
from streamgauge.mock_provider.dialects.openai_request import (
    at_least,
    check_one_choice,
    chosen_model,
    read_stops,
    read_stream,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.profiles import OPENAI
from streamgauge.mock_provider.stream import Item


class OpenAICompletions(OpenAIChunks):
    """`POST /v1/completions`, streamed and whole."""

    name = "openai-completions"
    routes = (("POST", "/v1/completions"),)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as OpenAI does."""
        body = json_object(request)
        model = chosen_model(body, models)
        stream, include_usage = read_stream(body)
        check_one_choice(body)
        return ChatRequest(
            prompt=_prompt(body),
            stream=stream,
            model=model,
            max_tokens=at_least(body, "max_tokens", 1),
            include_usage=include_usage,
            stop=read_stops(body),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Chunks that share one id and one creation time."""
        return ChunkEncoder(chat, plan, _opening(chat, plan))

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """The same object as in a stream, with the whole text."""
        text = "".join(part.text for part in parts)
        usage = usage_of(chat, OPENAI, sum(len(part.pieces) for part in parts), 0)
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": plan.finish}
        return json.dumps(_opening(chat, plan) | {"choices": [choice], "usage": usage}).encode()


class ChunkEncoder(Chunks):
    """One chunk for each token."""

    around = ('"text":', ',"logprobs":null')
    empty = '""'

    def inside(self, item: Item) -> str:
        """The text."""
        return json.dumps(item.text)


def _opening(chat: ChatRequest, plan: Plan) -> dict[str, Any]:
    return opening_fields(chat, plan, "cmpl", "text_completion")


def _prompt(body: dict[str, Any]) -> str:
    value = body.get("prompt")
    if value is None:
        raise Refusal(400, "Missing required parameter: 'prompt'.", param="prompt", code="missing_required_parameter")
    texts = value if isinstance(value, list) else [value]
    if len(texts) != 1 or not isinstance(texts[0], str):
        message = "this mock reads one prompt of text: expected a string, or an array of one string"
        raise Refusal(400, message, param="prompt", code="unsupported_value")
    if not texts[0].strip():
        raise Refusal(400, "the prompt is blank", param="prompt", code="invalid_value")
    return texts[0]


DIALECT = OpenAICompletions()
