"""`POST /runs/stream` of a LangGraph server, stream mode messages-tuple (docs/protocols.md#langgraph)."""

import json
from typing import Any

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.fields import field, newest_text, non_blank, required
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, PartKind


class LangGraph(Dialect):
    """A stateless run. It ends with the body: the server has no end marker."""

    name = "langgraph"
    routes = (("POST", "/runs/stream"),)
    features = frozenset({"sse", "custom", "json", "error", "reasoning"})
    start = (Kind.START,)
    heartbeat_ns = 15_000_000_000

    def credential(self, request: Request) -> str:
        """`x-api-key`, or a bearer token."""
        return request.headers.get("x-api-key") or super().credential(request)

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The newest message of the input."""
        body = json_object(request)
        required(body, "assistant_id", str)
        messages = required(field(body, "input", dict, {}), "messages", list)
        return ChatRequest(non_blank(newest_text(messages, "input.messages"), "input.messages"))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """The events of one run."""
        return EventEncoder(chat, plan)

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """The last chunk has the finish reason and the usage."""
        return (Kind.FINISH,)


class EventEncoder:
    """The events of one run."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan
        self._run_id = identity.hex_id(plan.seed, plan.id, digits=32)
        self._tokens = 0

    def encode(self, item: Item) -> bytes:
        """A chunk for a token, with the metadata of the graph's node beside it."""
        if item.kind is Kind.TOKEN:
            self._tokens += item.size
            if item.part.kind is PartKind.REASONING:
                return self._chunk("", additional_kwargs={"reasoning_content": item.text})
            return self._chunk(item.text)
        if item.kind is Kind.START:
            return _event("metadata", {"run_id": self._run_id, "attempt": 1})
        if item.kind is Kind.FINISH:
            counts = {"input_tokens": self._chat.prompt_tokens, "output_tokens": self._tokens}
            usage: dict[str, Any] = counts | {"total_tokens": sum(counts.values())}
            if self._chat.cached_tokens is not None:
                usage["input_token_details"] = {"cache_read": self._chat.cached_tokens}
            return self._chunk("", response_metadata={"finish_reason": self._plan.finish}, usage_metadata=usage)
        if item.kind is Kind.ERROR:
            return _event("error", {"error": "InternalServerError", "message": item.text or MESSAGE})
        if item.kind in (Kind.OPEN, Kind.CLOSE):
            return b""
        return f": {item.text}\n\n".encode()

    def _chunk(self, text: str, **more: dict[str, Any]) -> bytes:
        chunk: dict[str, Any] = {
            "content": text,
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "AIMessageChunk",
            "name": None,
            "id": f"run--{self._run_id}",
            "tool_calls": [],
            "invalid_tool_calls": [],
            "usage_metadata": None,
            "tool_call_chunks": [],
        }
        return _event("messages", [chunk | more, {"run_id": self._run_id, "langgraph_node": "agent"}])


def _event(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


DIALECT = LangGraph()
