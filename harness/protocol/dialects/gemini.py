"""Gemini's streamGenerateContent?alt=sse (docs/protocols.md#gemini). Source: the reference of GenerateContentResponse.

A failure in mid-stream does not come as an event: Google's front end writes its JSON error as bare lines behind the
events, and Google's SDKs look for it there (python-genai: `_iter_response_stream` balances braces).
"""

import re
from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import counts, dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.numbers import whole


class Gemini(Defaults):
    name = "gemini"
    summary = "Gemini streamGenerateContent?alt=sse: data: {candidates}, the last one with a finishReason"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = '"finishReason"'
    vendor = "gemini"
    api = "Google's Gemini"
    path = "/v1beta/models/{model}:streamGenerateContent"
    places = re.compile(r":streamGenerateContent$")
    bare_errors = True
    model = "gemini-2.5-flash"
    key_header = "x-goog-api-key"

    def deltas_in(self, event: Event) -> list[Delta]:
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        if payload.get("error"):
            return [Delta(Kind.ERROR, value=payload["error"])]
        deltas: list[Delta] = []
        candidates = payload.get("candidates")
        first = True
        for candidate in candidates if isinstance(candidates, list) else []:
            deltas += _read_candidate(candidate, ends=first and not dig(candidate, "index"))
            first = False
        if blocked := text_in(payload, "promptFeedback", "blockReason"):
            deltas += [Delta(Kind.FINISH, value=blocked), Delta(Kind.DONE)]
        if isinstance(payload.get("usageMetadata"), dict):
            # First, because the end marker in the same event has to be the last delta.
            deltas.insert(0, Delta(Kind.USAGE, value=_usage(payload["usageMetadata"])))
        return deltas or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        payload = object_of(event.data) or {}
        key = next((key for key in ("candidates", "promptFeedback", "usageMetadata") if key in payload), None)
        return f'JSON objects with "{key}"' if key else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - the model is in the URL
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        if max_tokens is not None:
            body["generationConfig"] = {"maxOutputTokens": max_tokens}
        return RequestTemplate("POST", body, {"alt": "sse"})


def _read_candidate(candidate: Any, *, ends: bool) -> list[Delta]:
    """`ends`: this candidate's finish reason ends the stream. Of several candidates, only the first one's does."""
    deltas: list[Delta] = []
    parts = dig(candidate, "content", "parts")
    for part in parts if isinstance(parts, list) else []:
        call = dig(part, "functionCall")
        if isinstance(call, dict):
            deltas.append(Delta(Kind.TOOL, msgspec.json.encode(call.get("args") or {}).decode()))
        elif text := text_in(part, "text"):
            deltas.append(Delta(Kind.REASONING if dig(part, "thought") is True else Kind.CONTENT, text))
    if reason := text_in(candidate, "finishReason"):
        deltas.append(Delta(Kind.FINISH, value=reason))
        if ends:
            deltas.append(Delta(Kind.DONE))
    return deltas


def _usage(value: dict[str, Any]) -> dict[str, Any]:
    usage = counts(
        value,
        input_tokens="promptTokenCount",
        output_tokens="candidatesTokenCount",
        cached_tokens="cachedContentTokenCount",
    )
    # Gemini counts thoughts apart from the candidates, but both are generated output.
    if thoughts := counts(value, output_tokens="thoughtsTokenCount"):
        candidates, hidden = whole(usage.get("output_tokens", 0)), whole(thoughts["output_tokens"])
        if hidden is None:
            usage["output_tokens"] = thoughts["output_tokens"]
        elif candidates is not None:
            usage["output_tokens"] = candidates + hidden
    return usage
