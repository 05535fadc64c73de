"""Gemini (docs/protocols.md#gemini): `:streamGenerateContent`, an event stream or a JSON array, and `:generateContent`.

The event stream has CRLF line ends, as the vendor's front end sends them; client code that looks for LF LF fails on it.
An error mid-stream is not an event: the vendor writes its JSON error as bare lines into the body, and its SDK collects
such lines (python-genai `_iter_response_stream`; maximhq/bifrost#5262).
"""

import json
from typing import Any, ClassVar

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.answer import FinishedPart, calls_for
from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object
from streamgauge.mock_provider.dialects.fields import (
    call_arguments,
    declared_tools,
    field,
    limit,
    newest_text,
    non_blank,
    required,
    served,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Part, PartKind

# The code of google.rpc.Code for each HTTP status.
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Gemini gives STOP after a function call as well.
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


class Gemini(Dialect):
    """The event stream (`?alt=sse`), and the whole answer."""

    name = "gemini"
    routes: ClassVar[tuple[tuple[str, str], ...]] = (  # the version is v1beta, or v1 for newer clients
        ("POST", "/{version}/models/{model}:streamGenerateContent"),
        ("POST", "/{version}/models/{model}:generateContent"),
    )
    features = frozenset({"sse", "json", "object", "marker", "error", "reasoning", "tools", "gemini", "vendor"})
    newline = b"\r\n"

    def variant(self, request: Request) -> Dialect:
        """A stream without `alt=sse` is a JSON array."""
        return ARRAY if _streams(request) and request.argument("alt") != "sse" else self

    def credential(self, request: Request) -> str:
        """`x-goog-api-key`, or `?key=`."""
        return request.headers.get("x-goog-api-key") or request.argument("key") or ""

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """Validates the used fields as Gemini does."""
        body = json_object(request)
        model = request.places["model"]
        options = field(body, "generationConfig", dict, {})
        contents = required(body, "contents", list)
        prompt = newest_text(contents, "contents", "parts")
        groups = [group for group in field(body, "tools", list, []) if isinstance(group, dict)]
        functions = [function for group in groups for function in field(group, "functionDeclarations", list, [])]
        tools = declared_tools(functions, "tools.functionDeclarations", "parametersJsonSchema", "parameters")
        calling = field(field(body, "toolConfig", dict, {}), "functionCallingConfig", dict, {})
        choice = str(calling.get("mode", "")).lower()
        return ChatRequest(
            prompt=non_blank(prompt, "contents"),
            stream=_streams(request),
            model=served(model, models, f"models/{model} is not found for API version {request.places['version']}"),
            max_tokens=limit(options, "maxOutputTokens"),
            tools=tools,
            calls=calls_for(tools, choice, answered=_answered(contents[-1])),
        )

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Events that share one response id."""
        return EventEncoder(chat, plan)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """A `GenerateContentResponse`."""
        answer = Responses(chat, plan)
        for part, pieces in parts:
            answer.count(part, len(pieces))
        contents = [_part(finished.part, finished.text) for finished in parts]
        return json.dumps(answer.response(contents, _finish(plan))).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:  # noqa: ARG002
        """`{"error":{"code","message","status"}}`."""
        return "application/json; charset=UTF-8", json.dumps(error_value(message, status), indent=2).encode()


class GeminiArray(Gemini):
    """The JSON array: one pretty-printed element at a time, and a closing bracket also after an error."""

    name = "gemini-array"
    routes = ()
    content_type = "application/json; charset=UTF-8"
    features = frozenset({"json", "error", "reasoning", "tools"})
    newline = b"\n"

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """Elements that share one response id."""
        return ElementEncoder(chat, plan)

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """The same error inside an array, as the vendor sends it."""
        content_type, body = super().error(status, message, param=param, code=code)
        return content_type, b"[%b\n]\n" % body


class Responses:
    """The `GenerateContentResponse` values of one answer; the usage counts the tokens so far."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan
        self._id = identity.hex_id(plan.seed, plan.id, digits=22)
        self._candidates = self._thoughts = 0
        self._arguments = ""

    def count(self, part: Part, tokens: int) -> None:
        """Count tokens of a part; the vendor counts thoughts and candidates separately."""
        if part.kind is PartKind.REASONING:
            self._thoughts += tokens
        else:
            self._candidates += tokens

    def response(self, parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
        """One response with `parts`; before the last one the finish reason is absent, not null."""
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
        if finish is not None:
            candidate["finishReason"] = finish
        candidate["index"] = 0
        prompt = self._chat.prompt_tokens
        usage = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": self._candidates,
            "totalTokenCount": prompt + self._candidates + self._thoughts,
        }
        if self._chat.cached_tokens:
            usage["cachedContentTokenCount"] = self._chat.cached_tokens
        if self._thoughts:
            usage["thoughtsTokenCount"] = self._thoughts
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self._chat.model,
            "responseId": self._id,
        }

    def value(self, item: Item) -> dict[str, Any] | None:
        """The response for an item, or None; a function call comes whole, at its end."""
        kind, part = item.kind, item.part
        if kind is Kind.TOKEN:
            self.count(part, item.size)
            if part.kind is not PartKind.TOOL:
                return self.response([_part(part, item.text)])
            self._arguments += item.text
        elif kind is Kind.CLOSE and part.kind is PartKind.TOOL:
            arguments, self._arguments = self._arguments, ""
            return self.response([_part(part, arguments)])
        elif kind is Kind.DONE:
            return self.response([{"text": ""}], _finish(self._plan))
        return None


class EventEncoder(Responses):
    """`data:` events."""

    def encode(self, item: Item) -> bytes:
        """One event; an error becomes bare lines, as the vendor sends them."""
        if item.kind is Kind.ERROR:
            return json.dumps(error_value(item.text or MESSAGE), indent=2).encode() + b"\n\n"
        if item.kind is Kind.COMMENT:
            return f": {item.text}\n\n".encode()
        value = self.value(item)
        return b"" if value is None else f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


class ElementEncoder(Responses):
    """Elements of a JSON array."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        super().__init__(chat, plan)
        self._opened = False

    def encode(self, item: Item) -> bytes:
        """One element with its separator; this framing has no heartbeats."""
        value = error_value(item.text or MESSAGE) if item.kind is Kind.ERROR else self.value(item)
        if value is None:
            return b""
        before = ",\r\n" if self._opened else "["
        self._opened = True
        after = "\n]\n" if item.kind in (Kind.ERROR, Kind.DONE) else "\n"
        return f"{before}{json.dumps(value, indent=2)}{after}".encode()


def _part(part: Part, text: str) -> dict[str, Any]:
    if part.kind is PartKind.TOOL:
        return {"functionCall": {"id": part.id, "name": part.name, "args": call_arguments(text)}}
    return {"text": text, "thought": True} if part.kind is PartKind.REASONING else {"text": text}


def _finish(plan: Plan) -> str:
    return _FINISH.get(plan.finish, plan.finish.upper())


def error_value(message: str, status: int = 503) -> dict[str, Any]:
    """`{"error":{"code","message","status"}}`."""
    name = _STATUS.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
    return {"error": {"code": status, "message": message, "status": name}}


def _answered(content: dict[str, Any]) -> bool:
    """Whether the last turn contains the result of a function."""
    parts = content.get("parts")
    return isinstance(parts, list) and any("functionResponse" in part for part in parts)


def _streams(request: Request) -> bool:
    return request.path.endswith(":streamGenerateContent")


DIALECT = Gemini()
ARRAY = GeminiArray()
