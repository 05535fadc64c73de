"""What each fault makes of the clean stream: the expectations of test_mock_fault_bodies and test_mock_fault_heads."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from streamgauge.mock_provider.faults.errors import ERROR_TEXT, LINES
from tests.mock_provider.fault_wire import Chunks

# Chunks of the clean OpenAI stream of six tokens: role, tokens, finish, usage, [DONE].
T0, MIDDLE, FINISH, USAGE, DONE = 1, 4, 7, 8, 9
COMMENT = b": keep-alive\n\n"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Case:
    """`expect` makes the faulty chunks from the clean ones."""

    spec: str
    expect: Callable[[Chunks], Chunks]
    dialect: str = "openai-chat"
    end: str = "fin"
    whole: bool = True
    rest: Callable[[Chunks], bytes] = lambda _: b""
    more: str = ""  # keys of both directives, with a space before

    @property
    def name(self) -> str:
        return self.spec.partition(":")[0].partition("@")[0]


def each(change: Callable[[bytes], bytes]) -> Callable[[Chunks], Chunks]:
    return lambda chunks: [change(chunk) for chunk in chunks]


def tokens_only(change: Callable[[bytes], bytes]) -> Callable[[Chunks], Chunks]:
    return lambda chunks: [change(c) if T0 <= i < FINISH else c for i, c in enumerate(chunks)]


def at(index: int, change: Callable[[bytes], bytes]) -> Callable[[Chunks], Chunks]:
    return lambda chunks: [change(c) if i == index else c for i, c in enumerate(chunks)]


def insert(index: int, *new: bytes) -> Callable[[Chunks], Chunks]:
    return lambda chunks: [*chunks[:index], *new, *chunks[index:]]


def payload(change: Callable[[dict], dict]) -> Callable[[bytes], bytes]:
    def edit(chunk: bytes) -> bytes:
        if b"[DONE]" in chunk:
            return chunk
        value = change(json.loads(chunk[6:]))
        return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"

    return edit


def error_chunk(message: str = "the upstream model failed while it was generating") -> bytes:
    error = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    return b"data: " + json.dumps(error, separators=(",", ":")).encode() + b"\n\n"


def pretty(chunk: bytes) -> bytes:
    lines = json.dumps(json.loads(chunk[6:]), indent=2).splitlines()
    return "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def cumulative(chunks: Chunks) -> Chunks:
    text, out = "", []
    for index, chunk in enumerate(chunks):
        if T0 <= index < FINISH:
            text += json.loads(chunk[6:])["choices"][0]["delta"]["content"]
            out.append(content(chunk, json.dumps(text)))
        else:
            out.append(chunk)
    return out


def content(chunk: bytes, literal: str) -> bytes:
    value = json.loads(chunk[6:])
    old = json.dumps(value["choices"][0]["delta"]["content"])
    return chunk.replace(f'"content":{old}'.encode(), f'"content":{literal}'.encode("utf-8", "surrogateescape"))


def unescaped(chunk: bytes) -> bytes:
    if b"[DONE]" in chunk:
        return chunk
    value = json.dumps(json.loads(chunk[6:]), ensure_ascii=False, separators=(",", ":"))
    return b"data: " + value.encode() + b"\n\n"


def split_utf8(chunks: Chunks) -> Chunks:
    # With this seed the middle token is " caf\u00e9", whose last character loses its second byte to the next.
    first = content(chunks[MIDDLE], '" caf\udcc3"')
    second = content(chunks[MIDDLE + 1], '"\udca9 na\\u00efve"')
    return [*chunks[:MIDDLE], first, second, *chunks[MIDDLE + 2 :]]


def split_writes(chunks: Chunks) -> Chunks:
    out = []
    for chunk in map(unescaped, chunks):
        at, characters = 0, [i for i, byte in enumerate(chunk) if byte >= 0xC2][:4]
        for start in characters:
            more = 1 + (chunk[start] >= 0xE0) + (chunk[start] >= 0xF0)
            for cut in range(start + 1, start + 1 + more):
                out.append(chunk[at:cut])
                at = cut
        out.append(chunk[at:])
    return out


def error_as_content(chunks: Chunks) -> Chunks:
    error = content(chunks[T0], json.dumps(ERROR_TEXT))
    usage = chunks[USAGE].replace(b'"completion_tokens":6', b'"completion_tokens":3')
    return [*chunks[:3], error, chunks[FINISH], usage.replace(b'"total_tokens":10', b'"total_tokens":7'), chunks[DONE]]


def pasted(chunk: bytes, newline: bytes = b"\n") -> bytes:
    return b"data: " + chunk[6:].replace(b"\ndata: ", newline)


def blocks(size: int) -> Callable[[Chunks], Chunks]:
    def cut(chunks: Chunks) -> Chunks:
        body = b"".join(chunks)
        return [body[i : i + size] for i in range(0, len(body), size)]

    return cut


def same(chunks: Chunks) -> Chunks:
    return chunks


def before_every_fourth(new: bytes) -> Callable[[Chunks], Chunks]:
    return lambda c: [c[0], new, *c[1:5], new, *c[5:]]


def swapped(chunks: Chunks) -> Chunks:
    return [*chunks[:MIDDLE], chunks[MIDDLE + 1], chunks[MIDDLE], *chunks[MIDDLE + 2 :]]


def noted(chunk: bytes) -> bytes:
    return b"".join(b": note\n" + line + b"\n" for line in chunk.splitlines() if line) + b"\n"


def half(chunk: bytes) -> bytes:
    return chunk[: len(chunk) // 2]


def tool_deltas(change: Callable[[dict], None]) -> Callable[[Chunks], Chunks]:
    def edit(value: dict) -> dict:
        for choice in value["choices"]:
            for call in choice["delta"].get("tool_calls", []):
                change(call)
        return value

    return each(payload(edit))


def with_id() -> Callable[[dict], None]:
    ids: dict[int, str] = {}

    def change(call: dict) -> None:
        call["id"] = ids.setdefault(call["index"], call.get("id", ""))

    return change


def up_to(count: int, *more: bytes) -> Callable[[Chunks], Chunks]:
    return lambda chunks: [*chunks[:count], *more]


def marked_ids(chunks: list[bytes]) -> list[bytes]:
    """Of a request without a key, whose hash begins so."""
    return [x[:-1] + b"id: %d-e3b0c442\n\n" % (i - 1) if T0 <= i < FINISH else x for i, x in enumerate(chunks)]


RAW_LINES = b"".join(b"data: %b\n" % line for line in LINES.encode().splitlines()) + b"\n"
TOOLS = " id=same tools=2"
BODIES = [
    Case("heartbeat-data", before_every_fourth(b"data:\n\n")),
    Case("heartbeat-event", before_every_fourth(b"event: ping\n\n")),
    Case("heartbeat-glued", before_every_fourth(b": keep-alive\n")),
    Case("heartbeat-after-id", lambda c: at(0, lambda x: x[:-1] + b"id: 1\n\n")(before_every_fourth(COMMENT)(c))),
    Case("comments-anywhere", each(noted)),
    Case("comments-anywhere", each(noted), dialect="event-text"),
    Case("ids", lambda c: [x[:-1] + b"id: %d\n\n" % (i - 1) if T0 <= i < FINISH else x for i, x in enumerate(c)]),
    Case("ids-first", lambda c: [b"id: %d\n" % (i - 1) + x if T0 <= i < FINISH else x for i, x in enumerate(c)]),
    *(Case(name, marked_ids) for name in ("resumable", "resume-gap", "resume-unscoped")),
    Case("crossed-streams", lambda c: c),  # there is no other
    Case("retry", at(0, lambda c: b"retry: 3000\n" + c)),
    Case("multi-line-data", tokens_only(lambda c: b"data: {\ndata: " + c[7:])),
    Case("oversized-event:70000", at(3, lambda c: c[:-2] + b"x" * 70_000 + b"\n\n"), dialect="raw-text"),
    Case("oversized-event", at(3, lambda c: c + b"x" * 65_536), dialect="plain-text"),
    Case("injection-cr", each(lambda c: pasted(c, b"\r")), dialect="raw-text"),
    Case("injection-crlf", each(lambda c: pasted(c, b"\r\n")), dialect="raw-text"),
    Case("injection-json", tokens_only(lambda c: c.replace(b"\\n", b"\n"))),
    Case("injection-quote", tokens_only(lambda c: c.replace(b'\\"', b'"'))),
    Case("swapped-events", swapped),
    # With this seed the second half is white space.
    Case("blanks-dropped", lambda c: [*c[:3], c[6]], dialect="event-json"),
    Case(
        "odd-shape",
        at(3, lambda c: c.removesuffix(b',"done":false}\n\n').replace(b'{"token":', b"") + b"\n\n"),
        dialect="token-done",
    ),
    Case("odd-shape", at(3, lambda c: c.replace(b'{"token":', b"").replace(b"}", b"")), dialect="event-json"),
    Case("odd-shape", at(3, lambda c: b'data: {"token":' + c[6:-2] + b"}\n\n"), dialect="json-string"),
    Case("odd-name", at(3, lambda c: c.removeprefix(b"event: token\n")), dialect="event-text"),
    Case("odd-name", at(3, lambda c: b"event: token\n" + c), dialect="raw-text"),
    Case("finish-wrong", at(FINISH, lambda c: c.replace(b'"stop"', b'"done"'))),
    Case("cut-mid-event:2", lambda c: [*c[:2], half(c[2])], dialect="event-json"),
    Case("fin-mid-event:2", lambda c: [*c[:2], half(c[2])], dialect="event-json", whole=False),
    Case("stall-quiet:20ms@2", same),
    Case("stall-quiet@2", up_to(T0 + 2), end="open", whole=False),
    Case("late-event:20ms@2", same),
    Case("late-head", same),
    Case("error-lines:2", up_to(T0 + 2, error_chunk(LINES))),
    Case("error-lines:2", lambda c: [*c[:2], b"event: error\n" + RAW_LINES], dialect="event-text"),
    Case("drip:10us@3", same),
    Case("write-every:7", same),
    Case("tool-no-index", tool_deltas(lambda call: call.pop("index")), more=TOOLS),
    Case("tool-id-repeated", lambda c: tool_deltas(with_id())(c), more=TOOLS),
    Case(
        "tool-arguments-object",
        tool_deltas(lambda call: call["function"].update(arguments={"text": call["function"]["arguments"]})),
        more=TOOLS,
    ),
    Case("tool-bad-json", each(lambda c: c.replace(b'\\"}"}', b'\\""}')), more=TOOLS),
    Case("crlf", each(lambda c: c.replace(b"\n", b"\r\n"))),
    Case("cr", each(lambda c: c.replace(b"\n", b"\r"))),
    Case("cr", each(lambda c: c.replace(b"\n", b"\r")), dialect="event-text"),
    Case("no-space", each(lambda c: c.replace(b"data: ", b"data:", 1))),
    Case(
        "no-space", each(lambda c: c.replace(b"event: ", b"event:").replace(b"data: ", b"data:")), dialect="event-json"
    ),
    Case("double-space", each(lambda c: c.replace(b"data: ", b"data:  ", 1))),
    Case("bom", at(0, lambda c: BOM + c)),
    Case("bom-mid", at(MIDDLE, lambda c: BOM + c)),
    Case("unknown-field", tokens_only(lambda c: c[:-1] + b"trace: 1\n\n")),
    Case("comment-heartbeats", lambda c: [c[0], COMMENT, *c[1:5], COMMENT, *c[5:]]),
    Case("merged-events", lambda c: [*c[:4], c[4][:-1] + c[5], *c[6:]]),
    Case(
        "merged-events",
        lambda c: [*c[:3], c[3][:-1] + c[4].removeprefix(b"event: token\n"), *c[5:]],
        dialect="event-json",
    ),
    Case("rewrapped", each(lambda c: b"data: " + c)),
    Case(
        "rewrapped",
        each(lambda c: b"data: event: " + c[7:].replace(b"\ndata: ", b"\ndata: data: ")),
        dialect="event-json",
    ),
    Case("empty-data", insert(MIDDLE, b"data: \n\n")),
    Case("metadata-only", insert(MIDDLE, b"event: ping\n\n")),
    Case("id-nul", at(MIDDLE, lambda c: c[:-1] + b"id: a\0b\n\n")),
    Case("retry-bad", at(MIDDLE, lambda c: c[:-1] + b"retry: soon\n\n")),
    Case("pretty-json", tokens_only(pretty)),
    Case("bad-json", at(MIDDLE, lambda c: c[:-3] + b"\n\n")),
    Case("bad-json", at(3, lambda c: c[:-3] + b"\n\n"), dialect="json-string"),
    Case("utf8-invalid", at(MIDDLE, lambda c: c.replace(b'"},"finish', b'\xff"},"finish'))),
    Case("utf8-invalid", at(3, lambda c: c + b"\xff"), dialect="plain-text"),
    Case("split-utf8", split_utf8),
    Case("split-utf8-writes", split_writes),
    Case("cumulative", cumulative),
    Case("raw-separators", each(unescaped)),
    Case("raw-newline", each(pasted), dialect="raw-text"),
    Case("injection-raw", each(pasted), dialect="raw-text"),
    Case("finish-null", at(FINISH, lambda c: c.replace(b'"stop"', b"null"))),
    Case("finish-twice", lambda c: insert(FINISH, c[FINISH])(c)),
    Case("changed-id", lambda c: [x.replace(b"ID", b"IDx") if i >= MIDDLE else x for i, x in enumerate(c)]),
    Case("usage-missing", lambda c: c[:USAGE] + c[DONE:]),
    Case(
        "usage-zero", at(USAGE, lambda c: c.partition(b'"usage"')[0] + re.sub(rb":\d+", b":0", c[c.find(b'"usage"') :]))
    ),
    Case("empty-choices", lambda c: insert(MIDDLE, payload(lambda v: v | {"choices": []})(c[MIDDLE]))(c)),
    Case("wrong-object", each(lambda c: c.replace(b"chat.completion.chunk", b"chat.completion"))),
    Case("error-null-key", each(payload(lambda v: v | {"error": None}))),
    Case("no-terminal", up_to(DONE)),
    Case("no-terminal", up_to(6), dialect="token-done"),
    Case("double-terminal", lambda c: [*c, c[DONE]]),
    Case("content-after-terminal", lambda c: [*c, content(c[T0], '" afterthought"')]),
    Case("no-final-blank", at(DONE, lambda c: c[:-1])),
    Case("error-event:2", up_to(T0 + 2, error_chunk())),
    Case(
        "error-event",
        lambda c: [
            *c[:3],
            b"event: error\n" + b'data: {"message": "the upstream model failed while it was generating"}\n\n',
        ],
        dialect="event-json",
    ),
    Case("error-then-done:2", lambda c: [*c[:3], error_chunk(), c[DONE]]),
    Case("error-as-content:2", error_as_content),
    Case("stall:20ms@2", same),
    Case("stall@2", up_to(T0 + 2), end="open", whole=False),
    Case("silent", up_to(0), end="open", whole=False),
    Case("late-close:20ms", same),
    Case("tail-hold:20ms", same),
    Case("no-flush", lambda c: [b"".join(c)]),
    Case("one-behind", same),
    Case("block:100", blocks(100), dialect="event-json"),
    Case("bursts:4", lambda c: [*c[:T0], b"".join(c[T0 : T0 + 4]), b"".join(c[T0 + 4 : FINISH]), *c[FINISH:]]),
    Case(
        "truncated-chunk:2",
        up_to(2),
        dialect="event-json",  # whose chunks have the same size every time
        whole=False,
        rest=lambda c: framed(c[2])[: len(framed(c[2])) // 2],
    ),
    Case("no-final-chunk", same, whole=False),
    Case(
        "bad-chunk-size",
        up_to(3),
        dialect="event-json",
        whole=False,
        rest=lambda c: b"zz\r\n" + framed(c[3]).partition(b"\r\n")[2] + b"".join(map(framed, c[4:])) + b"0\r\n\r\n",
    ),
    Case("rst:2", up_to(T0 + 2), end="rst", whole=False),
    Case("fin:2", up_to(T0 + 2), end="fin", whole=False),
    Case("fin", up_to(3), end="fin", whole=False, dialect="plain-text"),
]


def framed(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


HEADS: dict[str, tuple[list[str], list[str]]] = {  # fields removed from the clean head, fields added
    "wrong-content-type": (["Content-Type: text/event-stream"], ["Content-Type: text/plain"]),
    "wrong-content-type:application/json": (["Content-Type: text/event-stream"], ["Content-Type: application/json"]),
    "no-content-type": (["Content-Type: text/event-stream"], []),
    "two-content-types": ([], ["Content-Type: application/json"]),
    "cache-public": (["Cache-Control: no-cache"], ["Cache-Control: public, max-age=3600"]),
    "no-accel-header": (["X-Accel-Buffering: no"], []),
    "constant-request-id": ([], []),
    "no-request-id": (["X-Request-Id: req_ID"], []),
    "cors-wild": (
        [],
        ["Access-Control-Allow-Origin: https://evil.example", "Access-Control-Allow-Credentials: true"],
    ),
    "double-headers": (
        [],
        ["Content-Type: text/event-stream", "Cache-Control: no-cache", "X-Accel-Buffering: no", "X-Request-Id: req_ID"],
    ),
    "coding-twice": ([], ["Transfer-Encoding: chunked"]),
    "coding-identity": ([], ["Transfer-Encoding: identity"]),
    "length-beside-chunks": ([], ["Content-Length: 65536"]),
    "folded-header": ([], ["X-Note: one line", " and another"]),
    "http10": (["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], ["HTTP/1.0 200 OK"]),
    "content-length": (["Transfer-Encoding: chunked"], ["Content-Length: BODY"]),
    "close-delimited": (["Transfer-Encoding: chunked"], []),
    "gzip-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
    "gzip-no-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
}
