"""OpenAI Responses (docs/protocols.md#openai-responses). Source: ResponseStreamEvent of OpenAI's OpenAPI file."""

import re
from typing import Any

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import DONE
from streamgauge.protocol.dialects.payload import dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event

FINAL = ("response.completed", "response.incomplete", "response.failed")
_DELTAS = {
    "response.output_text.delta": Kind.CONTENT,
    "response.refusal.delta": Kind.CONTENT,
    "response.reasoning_text.delta": Kind.REASONING,
    "response.reasoning_summary_text.delta": Kind.REASONING,
    "response.function_call_arguments.delta": Kind.TOOL,
    "response.mcp_call_arguments.delta": Kind.TOOL,
    "response.custom_tool_call_input.delta": Kind.TOOL,
    "response.code_interpreter_call_code.delta": Kind.TOOL,
}


class OpenAIResponses(Defaults):
    name = "openai-responses"
    summary = "OpenAI Responses: event: response.output_text.delta and its like, then event: response.completed"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "event: response.completed"
    vendor = "openai"
    api = "OpenAI's Responses"
    path = "/v1/responses"
    places = re.compile(r"/v1/responses/?$")
    model = "gpt-4o-mini"

    def deltas_in(self, event: Event) -> list[Delta]:
        if event.data == DONE:  # OpenResponses ends with it, OpenAI does not: response.completed is the end of both
            return [Delta(Kind.META)]
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        kind = text_in(payload, "type") or event.type
        if found := _DELTAS.get(kind):
            return [Delta(found, text_in(payload, "delta"))]
        if kind in FINAL:
            return _ended(kind, payload.get("response"))
        if kind == "error" or payload.get("error"):
            return [Delta(Kind.ERROR, value=payload.get("error") or payload)]
        return [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        kind = text_in(object_of(event.data), "type")
        return f'JSON objects with "type": "{kind[:40]}"' if kind.startswith("response.") else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        body: dict[str, Any] = {"model": model, "input": prompt, "stream": True}
        if max_tokens is not None:
            body["max_output_tokens"] = max_tokens
        return RequestTemplate("POST", body, {})


def _ended(kind: str, response: Any) -> list[Delta]:
    usage = dig(response, "usage")
    counted = [Delta(Kind.USAGE, value=usage)] if isinstance(usage, dict) else []
    if kind == "response.failed":
        return [Delta(Kind.ERROR, value=dig(response, "error") or {"message": "the response failed"}), *counted]
    reason = text_in(response, "incomplete_details", "reason") or kind.removeprefix("response.")
    return [Delta(Kind.FINISH, value=reason), *counted, Delta(Kind.DONE)]
