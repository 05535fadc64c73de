"""The run stream of a LangGraph server (docs/protocols.md#langgraph).

Sources: the types of `@langchain/langgraph-sdk` (MessagesTupleStreamEvent and its like) and of LangChain's messages.
Chunks of `event: messages` (stream mode messages-tuple) hold new text; `messages/partial` holds all text so far.
"""

import re
from typing import Any, Final

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import SO_FAR, Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import counts, decode, dig, text_in, unread
from streamgauge.protocol.eventstream import Event

_CHUNKS: Final = "messages"
_WHOLES: Final = ("messages/partial", "messages/complete")
_STATES: Final = ("values", "updates")
_MODEL: Final = ("ai", "AIMessage", "AIMessageChunk")


class LangGraph(Defaults):
    name = "langgraph"
    summary = "LangGraph server: event: messages with [chunk, metadata], ended by the end of the body"
    media = Media.SSE
    json_payload = True
    terminal = None
    so_far = True
    path = "/runs/stream"
    places = re.compile(r"/runs/stream/?$")
    model = "agent"
    key_header = "x-api-key"

    def deltas_in(self, event: Event) -> list[Delta]:
        name = _name(event)
        if name == "end" or custom.done_of(event):
            return [Delta(Kind.DONE)]
        if name not in (_CHUNKS, *_WHOLES, *_STATES):
            return [Delta(Kind.META)]  # `event: custom` has any JSON
        payload = decode(event.data)
        if not isinstance(payload, (dict, list)):
            return unread(event.data)
        message = (
            _newest_in(payload) if name in _STATES else payload[0] if isinstance(payload, list) and payload else payload
        )
        if not isinstance(message, dict) or (message.get("type") or "ai") not in _MODEL:
            return [Delta(Kind.META)]  # messages of users and tools
        new = name == _CHUNKS and message.get("type") == "AIMessageChunk"
        deltas = [Delta(kind, text, None if new else SO_FAR) for kind, text in _texts(message)]
        return deltas + _ends(message) or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        name = _name(event)
        payload = decode(event.data)
        if name in (_CHUNKS, *_WHOLES) and isinstance(payload, list):
            return f"events named {name!r} with a list of messages"
        if name in _STATES and isinstance(payload, dict):
            return f"events named {name!r} with a state"
        return "events named 'metadata' with a run_id" if name == "metadata" and text_in(payload, "run_id") else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put it
        body = {
            "assistant_id": model,
            "input": {"messages": [{"role": "user", "content": prompt}]},
            "stream_mode": ["messages-tuple"],
        }
        return RequestTemplate("POST", body, {})


def _name(event: Event) -> str:
    """The event's name without the namespace of a subgraph, as in `messages|agent:1234`."""
    return event.type.partition("|")[0]


def _newest_in(state: Any) -> Any:
    """The newest message of a state, or of a node's update of it; None without one."""
    for value in [state, *(state.values() if isinstance(state, dict) else [])]:
        messages = dig(value, "messages")
        if isinstance(messages, list) and messages:
            return messages[-1]
    return None


def _texts(message: dict[str, Any]) -> list[tuple[Kind, str]]:
    """The non-empty texts of a message: its reasoning, its content and the arguments of its tool calls."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    found = [(Kind.REASONING, text_in(message, "additional_kwargs", "reasoning_content"))]
    for part in parts:
        found.append((Kind.REASONING, text_in(part, "thinking") or text_in(part, "reasoning")))
        found.append((Kind.CONTENT, part if isinstance(part, str) else text_in(part, "text")))
    calls = message.get("tool_call_chunks")
    found += [(Kind.TOOL, text_in(call, "args")) for call in (calls if isinstance(calls, list) else [])]
    return [(kind, text) for kind, text in found if text]


def _ends(message: dict[str, Any]) -> list[Delta]:
    """The finish reason and the usage, which the last chunk of a message holds."""
    usage = counts(dig(message, "usage_metadata"), input_tokens="input_tokens", output_tokens="output_tokens")
    usage |= counts(dig(message, "usage_metadata", "input_token_details"), cached_tokens="cache_read")
    reason = text_in(message, "response_metadata", "finish_reason") or text_in(
        message, "response_metadata", "stop_reason"
    )
    return [
        *([Delta(Kind.USAGE, value=usage)] if usage else []),
        *([Delta(Kind.FINISH, value=reason)] if reason else []),
    ]
