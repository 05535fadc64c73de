"""OpenAI Chat Completions (docs/protocols.md#openai-chat-completions): role, content, finish, usage, `[DONE]`.

Other vendors' deviations from it are a `profiles.Profile`. `n` above 1 is refused: a stream has one choice here.
"""

import json
from typing import Any, ClassVar

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.dialects.base import MESSAGE, PARTS, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.openai_request import (
    at_least,
    chosen_model,
    content_text,
    error_body,
    read_tools,
    typed,
    wrong_type,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.identity import created_s, hex_id
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.profiles import OPENAI, Profile
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

_MOST_STOPS = 4
_UNFILTERED = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


class OpenAIChat(Dialect):
    """`POST /v1/chat/completions`, streamed and whole."""

    name = "openai-chat"
    routes: ClassVar[tuple[tuple[str, str], ...]] = (("POST", "/v1/chat/completions"),)
    features = PARTS | {
        "sse", "json", "object", "openai", "usage-chunk", "marker", "error", "profile", "call-text", "vendor",
    }  # fmt: skip
    start = (Kind.PRELUDE, Kind.START)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as OpenAI does."""
        body = json_object(request)
        model = chosen_model(body, models)
        options = typed(body, "stream_options", dict, {})
        stream = typed(body, "stream", bool, False)
        if options and not stream:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Refusal(400, message, param="stream_options")
        if (at_least(body, "n", 1) or 1) > 1:
            raise Refusal(400, "this mock gives one choice: expected n = 1", param="n", code="unsupported_value")
        messages = _messages(body)
        tools, calls = read_tools(body, nested=True, answered=messages[-1]["role"] == "tool")
        limit = at_least(body, "max_completion_tokens", 1)
        return ChatRequest(
            prompt=_prompt(messages),
            stream=stream,
            model=model,
            max_tokens=limit if limit is not None else at_least(body, "max_tokens", 1),
            include_usage=typed(options, "include_usage", bool, False, "stream_options."),
            tools=tools,
            calls=calls,
            stop=_stops(body),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Chunks that share one id and one creation time."""
        if plan.profile is not None and plan.profile.shared_finish:
            return SharedFinishEncoder(chat, plan)
        return ChunkEncoder(chat, plan)

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:
        """With a usage chunk only if `stream_options.include_usage` is set."""
        return (Kind.FINISH, Kind.USAGE, Kind.DONE) if chat.include_usage else (Kind.FINISH, Kind.DONE)

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
        completion = {
            "id": _response_id(plan),
            "object": "chat.completion",
            "created": created_s(plan.seed, plan.id),
            "model": chat.model,
            "choices": [choice],
            "usage": _usage(
                chat,
                profile,
                sum(len(part.pieces) for part in parts),
                sum(len(part.pieces) for part in parts if part.part.kind is PartKind.REASONING),
            ),
        }
        if profile.content_filter:
            completion["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _UNFILTERED}]
            choice["content_filter_results"] = _UNFILTERED
        if profile.provider is not None:
            completion["provider"] = profile.provider
        return json.dumps(completion).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """`{"error":{"message","type","param","code"}}`."""
        return error_body(status, message, param=param, code=code)


class _Chunks:
    """The chunks of one response. Constant parts are rendered once, for speed."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat = chat
        self._finish = plan.finish
        self._profile = plan.profile or OPENAI
        self._silent = plan.answer_plan.calls > 0
        self._tokens = self._reasoning = 0
        # OpenAI sends compact separators and this order of keys.
        fields: dict[str, Any] = {"id": _response_id(plan)}
        if self._profile.provider is not None:
            fields["provider"] = self._profile.provider
        fields |= {
            "object": "chat.completion.chunk",
            "created": created_s(plan.seed, plan.id),
            "model": chat.model,
            "choices": 0,
        }
        self._opening = f"data: {_compact(fields).removesuffix('0}')}"
        usage = ',"usage":null' if chat.include_usage and not self._profile.usage_on_finish else ""
        filtered = f',"content_filter_results":{_compact(_UNFILTERED)}' if self._profile.content_filter else ""
        self._choice_suffix = f"{filtered}}}]"
        self._chunk_suffix = f"{usage}}}\n\n"
        self._delta_prefix = f'{self._opening}[{{"index":0,"delta":{{'
        self._delta_suffix = f'}},"finish_reason":null{self._choice_suffix}{self._chunk_suffix}'

    def encode(self, item: Item) -> bytes:
        """One chunk, the marker, or nothing."""
        kind = item.kind
        if kind is Kind.TOKEN:
            self._tokens += item.size
            return f"{self._delta_prefix}{self._delta(item)}{self._delta_suffix}".encode()
        if kind is Kind.OPEN:
            if item.part.kind is not PartKind.TOOL:
                return b""
            call = {"index": item.part.call, **_call(item.part)}
            return f'{self._delta_prefix}"tool_calls":{_compact([call])}{self._delta_suffix}'.encode()
        if kind is Kind.CLOSE:
            return b""
        if kind is Kind.PRELUDE:
            return self._prelude()
        if kind is Kind.START:
            content = "null" if self._silent else '""'
            return f'{self._delta_prefix}"role":"assistant","content":{content}{self._delta_suffix}'.encode()
        if kind is Kind.FINISH:
            return self._finish_chunk("")
        if kind is Kind.USAGE:
            if self._profile.usage_on_finish:
                return b""
            return f'{self._opening}[],"usage":{self._usage()}}}\n\n'.encode()
        if kind is Kind.DONE:
            return b"data: [DONE]\n\n"
        if kind is Kind.ERROR:
            return self._error(item.text or MESSAGE)
        return f": {self._profile.comment or item.text}\n\n".encode()

    def _delta(self, item: Item) -> str:
        """The field of a token in the delta object, by the kind of its part."""
        text, kind = json.dumps(item.text), item.part.kind
        if kind is PartKind.TEXT:
            return f'"content":{text}'
        if kind is PartKind.TOOL:
            return f'"tool_calls":[{{"index":{item.part.call},"function":{{"arguments":{text}}}}}]'
        if kind is PartKind.REFUSAL:
            return f'"refusal":{text}'
        self._reasoning += item.size
        return f'"{self._profile.reasoning_key}":{text}'

    def _prelude(self) -> bytes:
        if self._profile.content_filter:
            results = [{"prompt_index": 0, "content_filter_results": _UNFILTERED}]
            empty = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": results}
            return f"data: {_compact(empty)}\n\n".encode()
        return f": {self._profile.comment}\n\n".encode() if self._profile.comment is not None else b""

    def _finish_chunk(self, delta: str) -> bytes:
        usage = f',"usage":{self._usage()}}}\n\n' if self._profile.usage_on_finish else self._chunk_suffix
        reason = f'}},"finish_reason":{json.dumps(self._finish)}{self._choice_suffix}'
        return f"{self._delta_prefix}{delta}{reason}{usage}".encode()

    def _usage(self) -> str:
        return _compact(_usage(self._chat, self._profile, self._tokens, self._reasoning))

    def _error(self, message: str) -> bytes:
        if self._profile.error_in_chunk:
            error = _compact({"code": "server_error", "message": message})
            choice = f'{self._delta_prefix}"content":""}},"finish_reason":"error"{self._choice_suffix}'
            return f'{choice},"error":{error}}}\n\n'.encode()
        error = _compact({"message": message, "type": "server_error", "param": None, "code": None})
        return f'data: {{"error":{error}}}\n\n'.encode()


class ChunkEncoder(_Chunks):
    """One chunk for each token; the same text always gives the same bytes."""

    def count_cached(self, size: int) -> None:
        """See `fast_path.CacheableEncoder`."""
        self._tokens += size


class SharedFinishEncoder(_Chunks):
    """The last token comes in the chunk with the finish reason (Mistral)."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        super().__init__(chat, plan)
        self._last = None if plan.tokens is None else plan.tokens - 1
        self._held: Item | None = None

    def encode(self, item: Item) -> bytes:
        """One chunk or nothing; two if another item than FINISH follows the last token."""
        if item.kind is Kind.TOKEN and item.token is not None and item.token == self._last:
            self._held = item
            return b""
        if self._held is None or item.kind is Kind.CLOSE:
            return super().encode(item)
        held, self._held = self._held, None
        if item.kind is Kind.FINISH:
            self._tokens += held.size
            return self._finish_chunk(self._delta(held))
        return super().encode(held) + super().encode(item)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _response_id(plan: Plan) -> str:
    return f"chatcmpl-{hex_id(plan.seed, plan.id)}"


def _call(part: Part) -> dict[str, Any]:
    return {"id": f"call_{part.id}", "type": "function", "function": {"name": part.name, "arguments": ""}}


def _usage(chat: ChatRequest, profile: Profile, completion: int, reasoning: int) -> dict[str, Any]:
    prompt, cached = chat.prompt_tokens, chat.cached_tokens
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached or 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    if profile.cache_counts and cached is not None:
        usage |= {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached}
    return usage


def _stops(body: dict[str, Any]) -> tuple[str, ...]:
    value = body.get("stop")
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise wrong_type("stop", "one of a string or array of strings", value)
    if len(stops) > _MOST_STOPS:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}."
        raise Refusal(400, message, param="stop", code="array_above_max_length")
    return tuple(stop for stop in stops if stop)


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
