"""Ollama's /api/chat and /api/generate: a JSON object a line (docs/protocols.md#ollama)."""

from typing import Any

import msgspec

from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import counts, dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event


class Ollama(Defaults):
    name = "ollama"
    summary = 'Ollama /api/chat: a JSON object a line (NDJSON), the last one with "done": true'
    media = Media.NDJSON
    json_payload = True
    terminal = '"done": true'
    vendor = "ollama"
    api = "Ollama's NDJSON"
    path = "/api/chat"
    model = "llama3.2"

    def deltas_in(self, event: Event) -> list[Delta]:
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        if payload.get("error"):
            return [Delta(Kind.ERROR, value=payload["error"])]
        # /api/chat and /api/generate are read alike, so that a wrong choice of dialect does not lose tokens.
        deltas: list[Delta] = []
        for kind, text in (
            (Kind.REASONING, text_in(payload, "message", "thinking") or text_in(payload, "thinking")),
            (Kind.CONTENT, text_in(payload, "message", "content") or text_in(payload, "response")),
        ):
            if text:
                deltas.append(Delta(kind, text))
        calls = dig(payload, "message", "tool_calls")
        for call in calls if isinstance(calls, list) else []:
            arguments = dig(call, "function", "arguments")
            deltas.append(Delta(Kind.TOOL, msgspec.json.encode(arguments or {}).decode()))
        if payload.get("done") is True:
            usage = counts(payload, input_tokens="prompt_eval_count", output_tokens="eval_count")
            deltas.append(Delta(Kind.FINISH, value=text_in(payload, "done_reason") or "done"))
            deltas += [Delta(Kind.USAGE, value=usage)] if usage else []
            deltas.append(Delta(Kind.DONE))
        return deltas or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        return self._sniff(event, "message", dict)

    def _sniff(self, event: Event, key: str, kind: type) -> str | None:
        payload = object_of(event.data)
        if payload is not None and isinstance(payload.get("done"), bool) and isinstance(payload.get(key), kind):
            return f'JSON objects with "{key}" and "done"'
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        return _asked({"model": model, "messages": [{"role": "user", "content": prompt}]}, max_tokens)


class OllamaGenerate(Ollama):
    name = "ollama-generate"
    summary = 'Ollama /api/generate: as ollama, with the text under "response"'
    api = ""  # the checks of `ollama` judge it too
    path = "/api/generate"

    def sniff(self, event: Event) -> str | None:
        return self._sniff(event, "response", str)

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:
        return _asked({"model": model, "prompt": prompt}, max_tokens)


def _asked(body: dict[str, Any], max_tokens: int | None) -> RequestTemplate:
    body["stream"] = True
    if max_tokens is not None:
        body["options"] = {"num_predict": max_tokens}
    return RequestTemplate("POST", body, {}, {"Accept": Media.NDJSON.value})
