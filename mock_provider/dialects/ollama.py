"""Ollama (docs/protocols.md#ollama): `/api/chat` and `/api/generate`, one JSON object a line, `"done":true` last."""

import json
from datetime import UTC, datetime
from typing import Any

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.answer import FinishedPart, Tool, calls_for
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.fields import (
    call_arguments,
    declared_tools,
    field,
    functions,
    newest_text,
    required,
    served,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

# Durations in the last line, in ns: constants, so that equal requests get equal bodies.
_LOAD_NS = 1_000_000
_PROMPT_TOKEN_NS = 100_000
_TOKEN_NS = 10_000_000


class Ollama(Dialect):
    """The common part of the two endpoints."""

    content_type = "application/x-ndjson"
    features = frozenset({"ndjson", "json", "object", "marker", "error", "reasoning", "vendor"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """A model is required, a prompt is not: without it the vendor loads the model and returns no text."""
        body = json_object(request)
        model = required(body, "model", str)
        options = field(body, "options", dict, {})
        most = field(options, "num_predict", int, None)
        tools, calls = self.tools(body)
        return ChatRequest(
            prompt=self.prompt(body),
            stream=field(body, "stream", bool, True),
            model=served(model, models, f"model '{model}' not found"),
            max_tokens=most if most is not None and most > 0 else None,  # -1 and -2: no limit
            tools=tools,
            calls=calls,
        )

    def prompt(self, body: dict[str, Any]) -> str:
        """The prompt of a request."""
        raise NotImplementedError

    def tools(self, body: dict[str, Any]) -> tuple[tuple[Tool, ...], int | None]:  # noqa: ARG002
        """The tools, and the number of calls (`ChatRequest.calls`)."""
        return (), 0

    def fields(self, text: str, more: dict[str, Any]) -> dict[str, Any]:
        """The fields that carry text, thinking and tool calls."""
        raise NotImplementedError

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Lines that share one creation time."""
        return LineEncoder(self, chat, plan)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """One object with the whole answer."""
        lines = LineEncoder(self, chat, plan)
        more: dict[str, Any] = {}
        for part, pieces in parts:
            lines.tokens += len(pieces)
            if part.kind is PartKind.TOOL:
                more.setdefault("tool_calls", []).append(_call(part, "".join(pieces)))
            elif part.kind is PartKind.REASONING:
                more["thinking"] = "".join(pieces)
        text = "".join(finished.text for finished in parts if finished.part.kind is PartKind.TEXT)
        return json.dumps(lines.last(text, more)).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:  # noqa: ARG002
        """`{"error":"..."}`."""
        return "application/json; charset=utf-8", json.dumps({"error": message}).encode()


class Chat(Ollama):
    """`/api/chat`: a message with each line."""

    name = "ollama"
    routes = (("POST", "/api/chat"),)
    features = Ollama.features | {"tools"}

    def prompt(self, body: dict[str, Any]) -> str:
        """The newest message of the user."""
        return newest_text(field(body, "messages", list, []), "messages")

    def tools(self, body: dict[str, Any]) -> tuple[tuple[Tool, ...], int | None]:
        """The vendor has no tool_choice, so it is always auto."""
        tools = declared_tools(functions(field(body, "tools", list, [])), "tools", "parameters")
        messages = field(body, "messages", list, [])
        answered = bool(messages) and isinstance(messages[-1], dict) and messages[-1].get("role") == "tool"
        return tools, calls_for(tools, "auto", answered=answered)

    def fields(self, text: str, more: dict[str, Any]) -> dict[str, Any]:
        """`{"message":{"role","content",...}}`."""
        return {"message": {"role": "assistant", "content": text, **more}}


class Generate(Ollama):
    """`/api/generate`: each line has a piece of text."""

    name = "ollama-generate"
    routes = (("POST", "/api/generate"),)

    def prompt(self, body: dict[str, Any]) -> str:
        """The field `prompt`."""
        return str(field(body, "prompt", str, ""))

    def fields(self, text: str, more: dict[str, Any]) -> dict[str, Any]:
        """`{"response",...}`."""
        return {"response": text, **more}


class LineEncoder:
    """The lines of one response."""

    def __init__(self, dialect: Ollama, chat: ChatRequest, plan: Plan) -> None:
        self._dialect, self._chat, self._plan = dialect, chat, plan
        made = datetime.fromtimestamp(identity.created_s(plan.seed, plan.id), UTC)
        self._opening = {"model": chat.model, "created_at": f"{made:%Y-%m-%dT%H:%M:%SZ}"}
        self.tokens = 0
        self._arguments = ""

    def encode(self, item: Item) -> bytes:
        """One line; a tool call comes whole, at its end. NDJSON has no heartbeats."""
        kind, part = item.kind, item.part
        if kind is Kind.TOKEN:
            self.tokens += item.size
            if part.kind is PartKind.TOOL:
                self._arguments += item.text
                return b""
            if part.kind is PartKind.REASONING:
                return self._text_line("", {"thinking": item.text})
            return self._text_line(item.text, {})
        if kind is Kind.CLOSE and part.kind is PartKind.TOOL:
            arguments, self._arguments = self._arguments, ""
            return self._text_line("", {"tool_calls": [_call(part, arguments)]})
        if kind is Kind.DONE:
            return self._line(self.last("", {}))
        if kind is Kind.ERROR:
            return self._line({"error": item.text or MESSAGE})
        return b""

    def last(self, text: str, more: dict[str, Any]) -> dict[str, Any]:
        """The object that ends a response, with its counts and durations."""
        prompt = self._chat.prompt_tokens
        reason = "length" if self._plan.finish == "length" else "stop"
        prompt_ns, tokens_ns = prompt * _PROMPT_TOKEN_NS, self.tokens * _TOKEN_NS
        return {
            **self._opening,
            **self._dialect.fields(text, more),
            "done": True,
            "done_reason": reason,
            "total_duration": _LOAD_NS + prompt_ns + tokens_ns,
            "load_duration": _LOAD_NS,
            "prompt_eval_count": prompt,
            "prompt_eval_duration": prompt_ns,
            "eval_count": self.tokens,
            "eval_duration": tokens_ns,
        }

    def _text_line(self, text: str, more: dict[str, Any]) -> bytes:
        return self._line(self._opening | self._dialect.fields(text, more) | {"done": False})

    def _line(self, value: dict[str, Any]) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _call(part: Part, arguments: str) -> dict[str, Any]:
    return {"function": {"index": part.call, "name": part.name, "arguments": call_arguments(arguments)}}


CHAT = Chat()
GENERATE = Generate()
DIALECTS = (CHAT, GENERATE)
