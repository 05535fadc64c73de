"""Cohere v2 chat (docs/protocols.md#cohere): typed events from `message-start` to `message-end`.

An error mid-stream is a `message-end` with the finish reason ERROR and the message in its delta, because the vendor has
no other error event (see ChatMessageEndEventDelta in its SDK).
"""

import json
from typing import Any

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.answer import FinishedPart, calls_for
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object, typed_event
from streamgauge.mock_provider.dialects.fields import (
    declared_tools,
    field,
    functions,
    limit,
    newest_text,
    non_blank,
    required,
    served,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR"}


class Cohere(Dialect):
    """`POST /v2/chat`, streamed and whole."""

    name = "cohere"
    routes = (("POST", "/v2/chat"),)
    features = frozenset(
        {"sse", "json", "object", "marker", "error", "reasoning", "tools", "call-text", "typed", "vendor"}
    )
    start = (Kind.START,)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as Cohere does."""
        body = json_object(request)
        model = required(body, "model", str)
        messages = required(body, "messages", list)
        tools = declared_tools(functions(field(body, "tools", list, [])), "tools", "parameters")
        choice = field(body, "tool_choice", str, "").lower()
        return ChatRequest(
            prompt=non_blank(newest_text(messages, "messages"), "messages"),
            stream=field(body, "stream", bool, False),
            model=served(model, models, f"model '{model}' not found, make sure the correct model ID was used"),
            max_tokens=limit(body, "max_tokens"),
            tools=tools,
            calls=calls_for(tools, choice, answered=messages[-1].get("role") == "tool"),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """The events of one message."""
        return EventEncoder(chat, plan)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """A message with its finish reason and usage."""
        message: dict[str, Any] = {"role": "assistant"}
        for part, pieces in parts:
            name = "tool_calls" if part.kind is PartKind.TOOL else "content"
            message.setdefault(name, []).append(_content_of(part, "".join(pieces)))
        value = {
            "id": _message_id(plan),
            "finish_reason": _finish(plan),
            "message": message,
            "usage": _usage(chat, sum(len(finished.pieces) for finished in parts)),
        }
        return json.dumps(value).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:  # noqa: ARG002
        """`{"message":"..."}`."""
        return "application/json", json.dumps({"message": message}).encode()


class EventEncoder:
    """The events of one message."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan
        self._tokens = 0

    def encode(self, item: Item) -> bytes:
        """One event for each item."""
        kind, part = item.kind, item.part
        if kind is Kind.TOKEN:
            self._tokens += item.size
            return _part_event(part, "delta", _delta(part, item.text))
        if kind is Kind.START:
            message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
            return typed_event({"id": _message_id(self._plan), "type": "message-start", "delta": {"message": message}})
        if kind is Kind.OPEN:
            return _part_event(part, "start", _content_of(part, ""))
        if kind is Kind.CLOSE:
            return _part_event(part, "end", None)
        if kind is Kind.DONE:
            return self._end({"finish_reason": _finish(self._plan)})
        if kind is Kind.ERROR:
            return self._end({"error": item.text or MESSAGE, "finish_reason": "ERROR"})
        return f": {item.text}\n\n".encode()

    def _end(self, delta: dict[str, Any]) -> bytes:
        return typed_event({"type": "message-end", "delta": delta | {"usage": _usage(self._chat, self._tokens)}})


def _part_event(part: Part, name: str, value: dict[str, Any] | None) -> bytes:
    # Cohere numbers contents and tool calls separately.
    tool = part.kind is PartKind.TOOL
    event: dict[str, Any] = {"type": f"{'tool-call' if tool else 'content'}-{name}"}
    event["index"] = part.call if tool else part.index
    if value is not None:
        event["delta"] = {"message": {"tool_calls" if tool else "content": value}}
    return typed_event(event)


def _content_of(part: Part, text: str) -> dict[str, Any]:
    if part.kind is PartKind.TOOL:
        function = {"name": part.name, "arguments": text}
        return {"id": f"{part.name}_{part.id}", "type": "function", "function": function}
    name = _content(part)
    return {"type": name, name: text}


def _delta(part: Part, text: str) -> dict[str, Any]:
    if part.kind is PartKind.TOOL:
        return {"function": {"arguments": text}}
    return {_content(part): text}


def _content(part: Part) -> str:
    return "thinking" if part.kind is PartKind.REASONING else "text"


def _message_id(plan: Plan) -> str:
    digits = identity.hex_id(plan.seed, plan.id, digits=32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _finish(plan: Plan) -> str:
    return _FINISH.get(plan.finish, plan.finish.upper())


def _usage(chat: ChatRequest, output: int) -> dict[str, Any]:
    counts = {"input_tokens": chat.prompt_tokens, "output_tokens": output}
    cached = {} if chat.cached_tokens is None else {"cached_tokens": chat.cached_tokens}
    return {"billed_units": counts, "tokens": counts, **cached}


DIALECT = Cohere()
