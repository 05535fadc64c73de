"""OpenAI Chat Completions (docs/protocols.md#openai-chat-completions): role, content, finish, usage, `[DONE]`.

Other vendors' deviations from it are a `profiles.Profile`. `n` above 1 is refused: a stream has one choice here.
"""

import json
from typing import Any, ClassVar

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.dialects.base import PARTS, Encoder, json_object
from streamgauge.mock_provider.dialects.openai_chunks import (
    UNFILTERED,
    Chunks,
    OpenAIChunks,
    compact,
    opening_fields,
    usage_of,
)
from streamgauge.mock_provider.dialects.openai_request import (
    at_least,
    check_one_choice,
    chosen_model,
    content_text,
    read_stops,
    read_stream,
    read_tools,
    typed,
    wrong_type,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.profiles import OPENAI
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

_ID = "chatcmpl"


class OpenAIChat(OpenAIChunks):
    """`POST /v1/chat/completions`, streamed and whole."""

    name = "openai-chat"
    routes: ClassVar[tuple[tuple[str, str], ...]] = (("POST", "/v1/chat/completions"),)
    features = OpenAIChunks.features | PARTS | {"profile", "call-text"}
    start = (Kind.PRELUDE, Kind.START)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as OpenAI does."""
        body = json_object(request)
        model = chosen_model(body, models)
        stream, include_usage = read_stream(body)
        check_one_choice(body)
        messages = _messages(body)
        tools, calls = read_tools(body, nested=True, answered=messages[-1]["role"] == "tool")
        limit = at_least(body, "max_completion_tokens", 1)
        return ChatRequest(
            prompt=_prompt(messages),
            stream=stream,
            model=model,
            max_tokens=limit if limit is not None else at_least(body, "max_tokens", 1),
            include_usage=include_usage,
            tools=tools,
            calls=calls,
            stop=read_stops(body),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Chunks that share one id and one creation time."""
        if plan.profile is not None and plan.profile.shared_finish:
            return SharedFinishEncoder(chat, plan)
        return ChunkEncoder(chat, plan)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """A `chat.completion` object."""
        profile = plan.profile or OPENAI
        texts = {kind: "".join(part.text for part in parts if part.part.kind is kind) for kind in PartKind}
        calls = [
            {**_call(part.part), "function": {"name": part.part.name, "arguments": part.text}}
            for part in parts
            if part.part.kind is PartKind.TOOL
        ]
        silent = calls or texts[PartKind.REFUSAL]
        message: dict[str, Any] = {"role": "assistant", "content": None if silent else texts[PartKind.TEXT]}
        message["refusal"] = texts[PartKind.REFUSAL] or None
        if texts[PartKind.REASONING]:
            message[profile.reasoning_key] = texts[PartKind.REASONING]
        if calls:
            message["tool_calls"] = calls
        choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": plan.finish}
        counted = {kind: sum(len(part.pieces) for part in parts if part.part.kind is kind) for kind in PartKind}
        completion = {
            **opening_fields(chat, plan, _ID, "chat.completion"),
            "choices": [choice],
            "usage": usage_of(chat, profile, sum(counted.values()), counted[PartKind.REASONING]),
        }
        if profile.content_filter:
            completion["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": UNFILTERED}]
            choice["content_filter_results"] = UNFILTERED
        return json.dumps(completion).encode()


class ChunkEncoder(Chunks):
    """One chunk for each token."""

    around = ('"delta":{', "}")
    empty = ""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        super().__init__(chat, plan, opening_fields(chat, plan, _ID, "chat.completion.chunk"))
        self._silent = plan.answer_plan.calls > 0

    def inside(self, item: Item) -> str:
        """The field of a token in the delta object, by the kind of its part."""
        text, kind = json.dumps(item.text), item.part.kind
        if kind is PartKind.TEXT:
            return f'"content":{text}'
        if kind is PartKind.TOOL:
            return f'"tool_calls":[{{"index":{item.part.call},"function":{{"arguments":{text}}}}}]'
        if kind is PartKind.REFUSAL:
            return f'"refusal":{text}'
        self.reasoning += item.size
        return f'"{self.profile.reasoning_key}":{text}'

    def other(self, item: Item) -> bytes:
        """The chunks around the parts, and Azure's first one."""
        if item.kind is Kind.OPEN:
            if item.part.kind is not PartKind.TOOL:
                return b""
            call = {"index": item.part.call, **_call(item.part)}
            return self.chunk(f'"tool_calls":{compact([call])}')
        if item.kind is Kind.CLOSE:
            return b""
        if item.kind is Kind.PRELUDE:
            return self._prelude()
        if item.kind is Kind.START:
            content = "null" if self._silent else '""'
            return self.chunk(f'"role":"assistant","content":{content}')
        return f": {self.profile.comment or item.text}\n\n".encode()

    def error(self, message: str) -> bytes:
        """An event of its own, or in a chunk with a finish reason (OpenRouter)."""
        if not self.profile.error_in_chunk:
            return super().error(message)
        error = compact({"code": "server_error", "message": message})
        return self.chunk('"content":""', "error", f',"error":{error}}}\n\n')

    def _prelude(self) -> bytes:
        if self.profile.content_filter:
            results = [{"prompt_index": 0, "content_filter_results": UNFILTERED}]
            empty = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": results}
            return f"data: {compact(empty)}\n\n".encode()
        return f": {self.profile.comment}\n\n".encode() if self.profile.comment is not None else b""


class SharedFinishEncoder:
    """The last token comes in the chunk with the finish reason (Mistral)."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chunks = ChunkEncoder(chat, plan)
        self._last = None if plan.tokens is None else plan.tokens - 1
        self._held: Item | None = None

    def encode(self, item: Item) -> bytes:
        """One chunk or nothing; two if another item than FINISH follows the last token."""
        if item.kind is Kind.TOKEN and item.token is not None and item.token == self._last:
            self._held = item
            return b""
        if self._held is None or item.kind is Kind.CLOSE:
            return self._chunks.encode(item)
        held, self._held = self._held, None
        if item.kind is Kind.FINISH:
            return self._chunks.finish(held)
        return self._chunks.encode(held) + self._chunks.encode(item)


def _call(part: Part) -> dict[str, Any]:
    return {"id": f"call_{part.id}", "type": "function", "function": {"name": part.name, "arguments": ""}}


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] | None = typed(body, "messages", list, None)
    if messages is None:
        message = "Missing required parameter: 'messages'."
        raise Refusal(400, message, param="messages", code="missing_required_parameter")
    if not messages:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array."
        raise Refusal(400, message, param="messages", code="empty_array")
    for index, value in enumerate(messages):
        if not isinstance(value, dict):
            raise wrong_type(f"messages[{index}]", "an object", value)
        if not isinstance(value.get("role"), str):
            raise wrong_type(f"messages[{index}]", "an object with a role", value)
    return messages


def _prompt(messages: list[dict[str, Any]]) -> str:
    """The text of the last user message, or of the last message if there is no user message."""
    texts: list[tuple[str, str]] = []
    for index, message in enumerate(messages):
        role, where = message["role"], f"messages[{index}].content"
        # An assistant's message with only tool calls has no content.
        texts.append((role, content_text(message.get("content"), where, nullable=role == "assistant")))
    text = next((text for role, text in reversed(texts) if role == "user"), texts[-1][1])
    if not text.strip():
        raise Refusal(400, "the last user message is blank", param="messages", code="invalid_value")
    return text


DIALECT = OpenAIChat()
