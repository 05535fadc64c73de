"""Anthropic Messages (docs/protocols.md#anthropic-messages): blocks between `message_start` and `message_stop`."""

import json
from base64 import b64encode
from typing import Any

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.answer import FinishedPart, calls_for
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object, typed_event
from streamgauge.mock_provider.dialects.fields import (
    call_arguments,
    declared_tools,
    field,
    limit,
    newest_text,
    non_blank,
    required,
    served,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class Anthropic(Dialect):
    """`POST /v1/messages`, streamed and whole."""

    name = "anthropic"
    routes = (("POST", "/v1/messages"),)
    features = frozenset(
        {"sse", "json", "object", "marker", "error", "reasoning", "tools", "call-text", "typed", "anthropic", "vendor"}
    )
    start = (Kind.START,)
    heartbeat_ns = 15_000_000_000  # the vendor promises no interval for pings; 15 s is the usual advice

    def credential(self, request: Request) -> str:
        """`x-api-key`, or a bearer token."""
        return request.headers.get("x-api-key") or super().credential(request)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as Anthropic does."""
        body = json_object(request)
        model = required(body, "model", str)
        required(body, "max_tokens", int)
        messages = required(body, "messages", list)
        tools = declared_tools(field(body, "tools", list, []), "tools", "input_schema")
        choice = field(body, "tool_choice", dict, {})
        if choice.get("type") == "tool":
            tools = tuple(tool for tool in tools if tool.name == choice.get("name"))
        return ChatRequest(
            prompt=non_blank(newest_text(messages, "messages"), "messages"),
            stream=field(body, "stream", bool, False),
            model=served(model, models, f"model: {model}"),
            max_tokens=limit(body, "max_tokens"),
            tools=tools,
            calls=calls_for(tools, str(choice.get("type", "")), answered=_answered(messages[-1])),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """The events of one message."""
        return EventEncoder(chat, plan)

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """The last block's end and `message_delta`, then `message_stop`."""
        return (Kind.FINISH, Kind.DONE)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """A message."""
        blocks = [_block(plan, finished.part, finished.text) for finished in parts]
        value = _message(chat, plan, blocks, sum(len(finished.pieces) for finished in parts))
        return json.dumps(value | {"stop_reason": _finish(plan)}).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:  # noqa: ARG002
        """`{"type":"error","error":{"type","message"}}`."""
        return "application/json", json.dumps(_error(status, message)).encode()


class EventEncoder:
    """The events of one message."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan
        self._tokens = 0
        self._pinged = False

    def encode(self, item: Item) -> bytes:
        """One event for a token; OPEN and CLOSE become the start and the stop of a block."""
        kind, part = item.kind, item.part
        if kind is Kind.TOKEN:
            self._tokens += item.size
            return self._delta(part, _delta(part, item.text))
        if kind is Kind.START:
            return typed_event({"type": "message_start", "message": _message(self._chat, self._plan, [], 1)})
        if kind is Kind.OPEN:
            block = _block(self._plan, part, "") | ({"signature": ""} if part.kind is PartKind.REASONING else {})
            opened = typed_event({"type": "content_block_start", "index": part.index, "content_block": block})
            # The vendor's first ping follows the start of the first block.
            ping, self._pinged = b"" if self._pinged else PING, True
            return opened + ping
        if kind is Kind.CLOSE:
            signed = b""
            if part.kind is PartKind.REASONING:
                signed = self._delta(part, {"type": "signature_delta", "signature": _signature(self._plan)})
            return signed + typed_event({"type": "content_block_stop", "index": part.index})
        if kind is Kind.FINISH:
            delta = {"stop_reason": _finish(self._plan), "stop_sequence": None}
            usage = {"output_tokens": self._tokens}
            return typed_event({"type": "message_delta", "delta": delta, "usage": usage})
        if kind is Kind.DONE:
            return typed_event({"type": "message_stop"})
        if kind is Kind.ERROR:
            return typed_event(_error(529, item.text or MESSAGE))
        return PING

    def _delta(self, part: Part, delta: dict[str, str]) -> bytes:
        return typed_event({"type": "content_block_delta", "index": part.index, "delta": delta})


PING = typed_event({"type": "ping"})


def _message(chat: ChatRequest, plan: Plan, content: list[dict[str, Any]], output: int) -> dict[str, Any]:
    return {
        "id": f"msg_{identity.hex_id(plan.seed, plan.id)}",
        "type": "message",
        "role": "assistant",
        "model": chat.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _input_usage(chat) | {"output_tokens": output},
    }


def _input_usage(chat: ChatRequest) -> dict[str, int]:
    """The vendor counts the cached tokens beside the others, not among them."""
    if chat.cached_tokens is None:
        return {"input_tokens": chat.prompt_tokens}
    return {
        "input_tokens": chat.read_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": chat.cached_tokens,
    }


def _block(plan: Plan, part: Part, text: str) -> dict[str, Any]:
    if part.kind is PartKind.REASONING:
        return {"type": "thinking", "thinking": text, "signature": _signature(plan)}
    if part.kind is PartKind.TOOL:
        return {"type": "tool_use", "id": f"toolu_{part.id}", "name": part.name, "input": call_arguments(text)}
    return {"type": "text", "text": text}


def _delta(part: Part, text: str) -> dict[str, str]:
    if part.kind is PartKind.REASONING:
        return {"type": "thinking_delta", "thinking": text}
    if part.kind is PartKind.TOOL:
        return {"type": "input_json_delta", "partial_json": text}
    return {"type": "text_delta", "text": text}


def _signature(plan: Plan) -> str:
    return b64encode(bytes.fromhex(identity.hex_id(plan.seed, plan.id, "signature", 60))).decode()


def _finish(plan: Plan) -> str:
    return _FINISH.get(plan.finish, plan.finish)


def _error(status: int, message: str) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _answered(message: dict[str, Any]) -> bool:
    """Whether the last turn brings the result of a tool."""
    content = message.get("content")
    return isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)


DIALECT = Anthropic()
