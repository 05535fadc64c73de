"""What a dialect provides: its routes, a parser of requests, the bytes of each item, and the shape of its errors."""

# How to write a dialect that has more than text. An answer is a sequence of parts (`stream.Part`): possibly reasoning,
# then text, a refusal or tool calls. The encoder gets OPEN (a part begins), TOKENs (`item.part` has the kind,
# `item.text` the text) and CLOSE (the part has ended). A part has at least one token; an empty answer has no part.
# No other item comes between the kinds in `start` and those of `end`.
# - A TOKEN becomes one event. START, OPEN and CLOSE may become several, or none (b"").
# - If the vendor sends something only whole (Gemini's function call), return b"" for each TOKEN and all bytes at CLOSE;
#   they are then due with the part's last token.
# - The TOKENs of a tool call are pieces of its JSON arguments. `part.name` is the tool, `part.id` hex digits (add the
#   vendor's prefix), `part.call` the index of the call.
# - Put "reasoning", "tools" and "refusal" into `features` if the vendor has them. A directive that needs a missing
#   feature is refused before the dialect is called.
# - `parse` sets `ChatRequest.tools` and `ChatRequest.calls` (see `answer.calls_for`).
# - `plan.finish` is stop, length, tool_calls or content_filter, or the directive's word: translate it for the vendor.
# - `whole` gets the parts (`answer.FinishedPart`). Take ids and times only from `identity`, so that bytes repeat.

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind

MESSAGE = "the upstream model failed while it was generating"


# Features that faults need and a stream of any dialect can have.
EVERY_STREAM = frozenset({"stream", "finite", "http/1.0", "http/1.1"})
# A dialect with none of these features has one part, of text, and gets no OPEN and no CLOSE.
PARTS = frozenset({"reasoning", "tools", "refusal"})


class Encoder(Protocol):
    """The bytes of the items of one response."""

    def encode(self, item: Item) -> bytes:
        """One complete event with its blank line, or several or none: see the top of this file."""


class Dialect(ABC):
    """One vendor's or framework's protocol. An instance is stateless and shared by all streams."""

    name: ClassVar[str]
    routes: ClassVar[tuple[tuple[str, str], ...]]  # (method, path)
    content_type: ClassVar[str] = "text/event-stream"
    headers: ClassVar[tuple[tuple[str, str], ...]] = (("Cache-Control", "no-cache"),)
    # Features that faults need (`Fault.needs`): "sse" lines, "json" payloads, each an "object", "openai" chunks, a
    # "marker" of success, an "error" event, "raw" text on data lines, tool arguments as breakable text ("call-text"),
    # events that carry their type and frame their parts ("typed"), sequence numbers ("numbered"), the vendor's name, or
    # "custom" for a shape that an application invents. Kinds of parts: "reasoning", "tools", "refusal".
    features: ClassVar[frozenset[str]]
    start: ClassVar[tuple[Kind, ...]] = ()
    profile: ClassVar[str | None] = None  # see `profiles`; a directive overrides it
    heartbeat_ns: ClassVar[int | None] = None  # silence before a heartbeat; None: no heartbeats by default
    newline: ClassVar[bytes] = b"\n"  # line end on the wire; encoders and faults always write LF

    def can_show(self, needs: frozenset[str]) -> bool:
        """Whether some stream of this dialect has all features in `needs`."""
        lf = {"lf"} if self.newline == b"\n" else set()
        calls = {"tool-calls"} if "tools" in self.features else set()
        return needs <= self.features | EVERY_STREAM | lf | calls

    def variant(self, request: Request) -> "Dialect":  # noqa: ARG002 (for vendors with variants)
        """The dialect that answers `request`, for a vendor whose query chooses between framings."""
        return self

    def credential(self, request: Request) -> str:
        """The API key in `request`, empty if there is none."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else ""

    @abstractmethod
    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """The parsed request; Refusal, before any byte of a stream, if it is wrong."""

    @abstractmethod
    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """A fresh encoder for one response."""

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002 (some endings depend on the request)
        """The kinds of the items after the last token of a successful answer."""
        return (Kind.DONE,)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """The body of an answer that is not streamed, for dialects whose requests can turn streaming off."""
        raise NotImplementedError(f"{self.name} has only streams")

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """Content type and body of an error in place of a stream: RFC 9457, unless the vendor has its own shape."""
        problem: dict[str, Any] = {"type": "about:blank", "status": status, "detail": message}
        if param is not None:
            problem["param"] = param
        if code is not None:
            problem["code"] = code
        return "application/problem+json", json.dumps(problem).encode()


def json_object(request: Request) -> dict[str, Any]:
    """The request body as a JSON object; Refusal if the type, the JSON or the shape is wrong."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        message = f"expected Content-Type application/json, got {media_type!r}"
        raise Refusal(415, message, kind="media-type", code="unsupported_media_type")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not valid JSON: {error}", kind="malformed", code="invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal(400, f"expected a JSON object, got {type(body).__name__}", code="invalid_type")
    return body


def message_field(body: dict[str, Any]) -> ChatRequest:
    """`{"message": "..."}`, the body of the application shapes."""
    message = body.get("message")
    if not isinstance(message, str):
        raise Refusal(400, 'expected a string in "message"', param="message", code="invalid_type")
    if not message.strip():
        raise Refusal(400, '"message" is blank', param="message", code="blank")
    return ChatRequest(message)


def message_argument(request: Request, *, required: bool) -> ChatRequest:
    """`?message=...`, the query of the application shapes."""
    message = request.argument("message")
    if message is None and not required:
        return ChatRequest("")
    if message is None or not message.strip():
        raise Refusal(400, 'expected a non-blank query argument "message"', param="message", code="blank")
    return ChatRequest(message)


def data_lines(text: str) -> bytes:
    """`text` as `data:` lines, one for each of its lines (WHATWG event streams end a line at LF, CR or CRLF)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # surrogateescape: invalid bytes, which only faults put into a text, are written unchanged.
    return b"".join(b"data: %b\n" % line.encode("utf-8", "surrogateescape") for line in lines)


def typed_event(value: dict[str, Any]) -> bytes:
    """An event whose name repeats the `type` of its payload, as several vendors send it."""
    return f"event: {value['type']}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
