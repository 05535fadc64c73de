"""`POST /ai-sdk/api/chat`: the UI message stream of Vercel's AI SDK (docs/protocols.md#ai-sdk-ui)."""

import json
from typing import Any

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.fields import call_arguments, newest_text, non_blank, required
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

_FINISH = {"tool_calls": "tool-calls", "content_filter": "content-filter"}
_NAMES = {PartKind.REASONING: "reasoning", PartKind.TOOL: "tool-input"}


class AiSdkUi(Dialect):
    """What `toUIMessageStreamResponse` and `createUIMessageStreamResponse` send."""

    name = "ai-sdk-ui"
    routes = (("POST", "/ai-sdk/api/chat"),)
    headers = (*Dialect.headers, ("x-vercel-ai-ui-message-stream", "v1"))
    features = frozenset(
        {"sse", "custom", "json", "object", "marker", "error", "reasoning", "tools", "call-text", "vendor"}
    )
    start = (Kind.START,)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The newest of the messages that `useChat` sends, each of which has parts."""
        messages = required(json_object(request), "messages", list)
        # Version 4 of the SDK sent `content`, and its successors still take it.
        text = newest_text(messages, "messages", "parts") or newest_text(messages, "messages")
        return ChatRequest(non_blank(text, "messages"))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The events of one message."""
        return EventEncoder(plan)

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """The finish, then the end marker."""
        return (Kind.FINISH, Kind.DONE)


class EventEncoder:
    """The events of one message."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._input = ""  # of the tool call that is open

    def encode(self, item: Item) -> bytes:
        """One event for a token; OPEN and CLOSE become the start and the end of a part."""
        kind, part = item.kind, item.part
        if kind is Kind.TOKEN:
            return self._delta(part, item.text)
        if kind is Kind.START:
            message_id = f"msg-{identity.hex_id(self._plan.seed, self._plan.id)}"
            return _data({"type": "start", "messageId": message_id}) + _data({"type": "start-step"})
        if kind is Kind.OPEN:
            self._input = ""
            names = {"toolName": part.name} if part.kind is PartKind.TOOL else {}
            return _data({"type": f"{_name(part)}-start", **_place(part), **names})
        if kind is Kind.CLOSE:
            return self._close(part)
        if kind is Kind.FINISH:
            reason = _FINISH.get(self._plan.finish, self._plan.finish)
            return _data({"type": "finish-step"}) + _data({"type": "finish", "finishReason": reason})
        if kind is Kind.DONE:
            return b"data: [DONE]\n\n"
        if kind is Kind.ERROR:
            return _data({"type": "error", "errorText": item.text or MESSAGE})
        return f": {item.text}\n\n".encode()

    def _delta(self, part: Part, text: str) -> bytes:
        if part.kind is PartKind.TOOL:
            self._input += text
            return _data({"type": "tool-input-delta", **_place(part), "inputTextDelta": text})
        return _data({"type": f"{_name(part)}-delta", **_place(part), "delta": text})

    def _close(self, part: Part) -> bytes:
        if part.kind is not PartKind.TOOL:
            return _data({"type": f"{_name(part)}-end", **_place(part)})
        call = {"toolName": part.name, "input": call_arguments(self._input)}
        return _data({"type": "tool-input-available", **_place(part), **call})


def _name(part: Part) -> str:
    return _NAMES.get(part.kind, "text")


def _place(part: Part) -> dict[str, str]:
    return {"toolCallId": f"call_{part.id}"} if part.kind is PartKind.TOOL else {"id": str(part.index)}


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode()


DIALECT = AiSdkUi()
