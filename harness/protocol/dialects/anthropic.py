"""Anthropic Messages (docs/protocols.md#anthropic-messages). Sources: the vendor's page, and its Python SDK."""

import re
from typing import Any

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event

VERSION = "2023-06-01"
MAX_TOKENS = 1024  # the API wants a limit in every request
TYPES = frozenset(
    {
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    }
)  # fmt: skip
_DELTAS = {
    "text_delta": (Kind.CONTENT, "text"),
    "thinking_delta": (Kind.REASONING, "thinking"),
    "input_json_delta": (Kind.TOOL, "partial_json"),
}


class Anthropic(Defaults):
    name = "anthropic"
    summary = "Anthropic Messages: event: content_block_delta and its like, then event: message_stop"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "event: message_stop"
    vendor = "anthropic"
    api = "Anthropic's Messages"
    path = "/v1/messages"
    places = re.compile(r"/v1/messages/?$")
    model = "claude-haiku-4-5"
    key_header = "x-api-key"

    def deltas_in(self, event: Event) -> list[Delta]:
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        kind = payload.get("type")
        if kind == "content_block_delta":
            found, key = _DELTAS.get(text_in(payload, "delta", "type"), (Kind.META, ""))
            return [Delta(found, text_in(payload, "delta", key))]
        if kind == "content_block_start":
            text = text_in(payload, "content_block", "text")
            return [Delta(Kind.CONTENT, text)] if text else [Delta(Kind.META)]
        if kind == "message_start":
            return _prompt_usage(dig(payload, "message", "usage")) or [Delta(Kind.META)]
        if kind == "message_delta":
            reason = text_in(payload, "delta", "stop_reason")
            finish = [Delta(Kind.FINISH, value=reason)] if reason else []
            return [*finish, *_usage(payload.get("usage"))] or [Delta(Kind.META)]
        if kind == "message_stop":
            return [Delta(Kind.DONE)]
        if kind == "error" or event.type == "error":
            return [Delta(Kind.ERROR, value=payload.get("error") or payload)]
        return [Delta(Kind.PING if kind == "ping" else Kind.META)]

    def sniff(self, event: Event) -> str | None:
        kind = text_in(object_of(event.data), "type")
        return f'JSON objects with "type": "{kind}"' if kind in TYPES else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": max_tokens if max_tokens is not None else MAX_TOKENS,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
        }
        return RequestTemplate("POST", body, {}, {"anthropic-version": VERSION})


def _prompt_usage(value: Any) -> list[Delta]:
    """The usage at the start. Its `output_tokens` counts what was there then, mostly 1: a stream that breaks off has no
    other, and has written more.
    """
    return _usage(
        {name: count for name, count in value.items() if name != "output_tokens"} if isinstance(value, dict) else None
    )


def _usage(value: Any) -> list[Delta]:
    return [Delta(Kind.USAGE, value=value)] if isinstance(value, dict) else []
