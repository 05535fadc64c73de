"""What a dialect must provide: its routes, its reading of a request, its bytes for each item, its errors."""

# How a dialect says more than text. An answer is a row of parts (stream.Part): perhaps reasoning, then text, a refusal
# or tool calls. Its items: OPEN (part begins), TOKEN (`item.part` says of what kind, `item.text` what), CLOSE (part
# ended); a part has at least one token, an empty answer has no part. Between `start` and `end` nothing else comes.
# - A TOKEN is one event; START, OPEN and CLOSE may be several; b"" says nothing. What a dialect says only whole
#   (Gemini's function call): b"" for each TOKEN, everything at CLOSE; it is then due with the part's last token.
# - A tool call's TOKENs are pieces of its JSON arguments; `part.name`, `part.id` (hex: add your prefix), `part.call`.
# - Put "reasoning", "tools", "refusal" into `features` if you can say it; who asks the others is refused for you.
# - `read` sets Ask.tools (speech.Tool: name and an argument's name) and Ask.calls (see there; `answer_plan.calls_for`).
# - `plan.finish` is stop, length, tool_calls or content_filter, or what the directive says: use your vendor's word.
# - `whole` gets the parts (speech.Spoken: part, pieces, text); ids and times come from `identity`, nothing else.

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from streamgauge.mock_provider.answer import FinishedPart
from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind

MESSAGE = "the upstream model failed while it was generating"


# What faults may need and every dialect's stream has.
EVERY_STREAM = frozenset({"stream", "finite", "http/1.0", "http/1.1"})
# Without any of these features a dialect has one part, of text, and gets no OPEN and CLOSE.
PARTS = frozenset({"reasoning", "tools", "refusal"})


class Encoder(Protocol):
    """The bytes of the items of one response."""

    def encode(self, item: Item) -> bytes:
        """One complete event, blank line included; see above for when none or several."""


class Dialect(ABC):
    """One way of speaking; an instance is stateless and shared."""

    name: ClassVar[str]
    routes: ClassVar[tuple[tuple[str, str], ...]]  # (method, path)
    content_type: ClassVar[str] = "text/event-stream"
    headers: ClassVar[tuple[tuple[str, str], ...]] = (("Cache-Control", "no-cache"),)
    # What faults may need: "sse" lines, "json" payloads, each an "object", "openai" chunks, a "marker" of success,
    # an "error" of its own, "raw" text on data lines, a tool call's arguments as "call-text" that can break.
    # events that name their type and frame their parts ("typed"), "numbered" ones, and those of one vendor by its name,
    # or of none: a "custom" shape that an application's code invents.
    # What it can say: "reasoning", "tools", "refusal".
    features: ClassVar[frozenset[str]]
    start: ClassVar[tuple[Kind, ...]] = ()
    profile: ClassVar[str | None] = None  # see `profiles`; a directive's goes before it
    heartbeat_ns: ClassVar[int | None] = None  # of silence before a comment; None: none unless asked for
    newline: ClassVar[bytes] = b"\n"  # encoders and faults write LF; this is what the vendor's wire has

    def can_show(self, needs: frozenset[str]) -> bool:
        """Whether some streamed answer has what a fault needs."""
        lf = {"lf"} if self.newline == b"\n" else set()
        calls = {"tool-calls"} if "tools" in self.features else set()
        return needs <= self.features | EVERY_STREAM | lf | calls

    def variant(self, request: Request) -> "Dialect":  # noqa: ARG002 (of few vendors)
        """The dialect that answers `request`, where a vendor's query chooses between framings."""
        return self

    def credential(self, request: Request) -> str:
        """The API key that `request` shows, empty when there is none."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else ""

    @abstractmethod
    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:
        """What `request` asks for; Refusal before any byte of a stream if it can't be served."""

    @abstractmethod
    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:
        """A fresh encoder for one response."""

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002 (some endings depend on the request)
        """The kinds of item that follow the last token of a success."""
        return (Kind.DONE,)

    def whole(self, chat: ChatRequest, plan: Plan, parts: list[FinishedPart]) -> bytes:
        """The body of a non-streaming answer, for dialects whose `read` can ask for one."""
        raise NotImplementedError(f"{self.name} has only streams")

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """Content type and body of an error answer before the stream: RFC 9457 unless the vendor has a shape."""
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
    # surrogateescape: lone bytes, which only faults put into a text, come out as they are.
    return b"".join(b"data: %b\n" % line.encode("utf-8", "surrogateescape") for line in lines)


def typed_event(value: dict[str, Any]) -> bytes:
    """An event whose name repeats the `type` of its payload, as several vendors have it."""
    return f"event: {value['type']}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
