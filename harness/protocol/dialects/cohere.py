"""Cohere's v2 chat (docs/protocols.md#cohere). Sources: the vendor's page, and the types of its Python SDK.

A failure is a `message-end` whose finish reason is ERROR: the vendor has no other error event.
"""

import re
from typing import Any

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import counts, dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event

TYPES = frozenset(
    {
        "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
        "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end", "debug",
    }
)  # fmt: skip
FAILED = ("ERROR", "TIMEOUT")


class Cohere(Defaults):
    name = "cohere"
    summary = "Cohere v2 chat: event: content-delta and its like, then event: message-end"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "event: message-end"
    vendor = "cohere"
    api = "Cohere's Chat"
    path = "/v2/chat"
    places = re.compile(r"/v2/chat/?$")
    model = "command-r7b-12-2024"

    def deltas_in(self, event: Event) -> list[Delta]:
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        kind = payload.get("type")
        message = dig(payload, "delta", "message")
        if kind in ("content-delta", "content-start"):
            # content-start carries text, too; usually it is empty.
            thought, text = text_in(message, "content", "thinking"), text_in(message, "content", "text")
            if thought:
                return [Delta(Kind.REASONING, thought)]
            return [Delta(Kind.CONTENT, text)] if text else [Delta(Kind.META)]
        if kind == "tool-plan-delta":
            return [Delta(Kind.REASONING, text_in(message, "tool_plan"))]
        if kind == "tool-call-delta":
            return [Delta(Kind.TOOL, text_in(message, "tool_calls", "function", "arguments"))]
        if kind == "message-end":
            return _ended(payload.get("delta"))
        if payload.get("error") or event.type == "error":
            return [Delta(Kind.ERROR, value=payload.get("error") or payload)]
        return [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        kind = text_in(object_of(event.data), "type")
        return f'JSON objects with "type": "{kind}"' if kind in TYPES - {"debug"} else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return RequestTemplate("POST", body, {})


def _ended(delta: Any) -> list[Delta]:
    usage = dig(delta, "usage", "tokens")
    cached = counts(dig(delta, "usage"), cached_tokens="cached_tokens")
    counted = [Delta(Kind.USAGE, value=usage | cached)] if isinstance(usage, dict) else []
    reason = text_in(delta, "finish_reason")
    if reason in FAILED or dig(delta, "error"):
        return [Delta(Kind.ERROR, value=dig(delta, "error") or reason), *counted]
    return [Delta(Kind.FINISH, value=reason), *counted, Delta(Kind.DONE)]
