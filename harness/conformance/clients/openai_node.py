"""The OpenAI SDK for Node and browsers. Read in npm openai 7.57.0, core/streaming.mjs and internal/decoders/line.mjs.

It decodes line by line, so a byte order mark goes wherever a line begins with one; ids and retry are ignored; the end
of the body dispatches what is pending. Its legacy mode, the default, turns errors into APIError.
"""

import json
from collections.abc import Iterator
from typing import Any

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, js_text, speaks, strict_json
from streamgauge.conformance.clients.lines import any_lines


def _read(body: Body) -> Iterator[Message]:
    for text, _ in _parsed(body):
        yield Message(text)


def payloads_of(body: Body) -> Iterator[Any]:
    """The values that the raw stream gives. Raises ReportedError for an error payload."""
    for _, payload in _parsed(body):
        yield payload


def _parsed(body: Body) -> Iterator[tuple[str, Any]]:
    for kind, data in events_of(body, flush=True):
        if data == "[DONE]":
            return
        payload = strict_json(data, "SyntaxError")
        if (kind or "").startswith("thread."):
            whole = {"event": kind, "data": payload}
            yield json.dumps(whole), whole
            continue
        error = payload.get("error") if isinstance(payload, dict) else None
        if kind == "error" or error:
            raise ReportedError(f"APIError: {error or payload}")
        yield data, payload


def events_of(body: Body, *, flush: bool) -> Iterator[tuple[str | None, str]]:
    """The events of SDKs generated from one template; `flush`: the end of the body dispatches what is pending."""
    kind: str | None = None
    data: list[str] = []
    for raw in any_lines(body, rest=True):
        line = js_text(raw)
        if not line:
            if kind or data:
                yield kind, "\n".join(data)
            kind, data = None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
    if flush and (kind or data):
        yield kind, "\n".join(data)


RAW = Client(
    name="openai-node raw",
    source="npm openai 7.57.0: core/streaming.mjs",
    read=_read,
    applies=speaks("openai-chat", "openai-completions", "openai-responses"),
    follows="7.57.0",
    events=False,
)
