"""Each fault on the wire: exactly that, and otherwise the bytes of the clean stream."""

import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest

from streamgauge.mock_provider import player
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS, ndjson, vendors
from streamgauge.mock_provider.faults.errors import ERROR_TEXT, LINES
from streamgauge.mock_provider.faults.http import HTML
from streamgauge.mock_provider.faults.security import CANARY
from tests.mock_provider.mock_wire import Answer, connect, exchange, quietly, read_to_end, request_bytes, steady

Chunks = list[bytes]
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
        cut = next((i + 1 for i, byte in enumerate(chunk) if byte >= 0xC2), None)
        out += [chunk] if cut is None else [chunk[:cut], chunk[cut:]]
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
MORE_CASES = [
    Case("heartbeat-data", before_every_fourth(b"data:\n\n")),
    Case("heartbeat-event", before_every_fourth(b"event: ping\n\n")),
    Case("heartbeat-glued", before_every_fourth(b": keep-alive\n")),
    Case("heartbeat-after-id", lambda c: at(0, lambda x: x[:-1] + b"id: 1\n\n")(before_every_fourth(COMMENT)(c))),
    Case("comments-anywhere", each(noted)),
    Case("comments-anywhere", each(noted), dialect="event-text"),
    Case("ids", lambda c: [x[:-1] + b"id: %d\n\n" % (i - 1) if T0 <= i < FINISH else x for i, x in enumerate(c)]),
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
    Case("tool-bad-json", each(lambda c: c.replace(b'\\"}"}', b'\\""}')), more=TOOLS),
]
# What `check_body` compares: the chunks, with the head as in the clean stream.
CASES = [
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
    Case("no-flush", lambda c: [b"".join(c)]),
    Case("one-behind", same),
    Case("block:100", blocks(100), dialect="event-json"),
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


def play(mock: MockServer, dialect: str, prompt: str, *headers: str) -> Answer:
    return exchange(mock.url, request_bytes(dialect, prompt, headers=("Connection: close", *headers)))


def clean_and_faulty(mock: MockServer, dialect: str, spec: str, *headers: str, more: str = "") -> tuple[Answer, Answer]:
    """Both with the same seed and text, and prompts of four words, which the usage counts."""
    text = FAULTS[re.split("[:@,]", spec)[0]].text or "ascii"
    clean = play(mock, dialect, f"one [[mock seed=5{more} text={text}]]", *headers)
    faulty = play(mock, dialect, f"[[mock seed=5{more} text={text} fault={spec}]]", *headers)
    assert (clean.end, clean.whole) == ("fin", True)
    return clean, faulty


def steady_chunks(answer: Answer) -> Chunks:
    return [steady(chunk) for chunk in answer.chunks]


def steady_head(answer: Answer) -> list[str]:
    return steady("\n".join(answer.head).encode()).decode().split("\n")


@pytest.mark.parametrize("case", CASES + MORE_CASES, ids=lambda case: f"{case.spec}-{case.dialect}")
def test_fault_changes_exactly_this_of_the_body(mock: MockServer, case: Case) -> None:
    clean, faulty = clean_and_faulty(mock, case.dialect, case.spec, more=case.more)
    chunks = steady_chunks(clean)
    assert steady_chunks(faulty) == case.expect(chunks)
    assert (faulty.end, faulty.whole, steady(faulty.rest)) == (case.end, case.whole, case.rest(chunks))
    assert steady_head(faulty) == steady_head(clean)


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
    "http10": (["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], ["HTTP/1.0 200 OK"]),
    "content-length": (["Transfer-Encoding: chunked"], ["Content-Length: BODY"]),
    "close-delimited": (["Transfer-Encoding: chunked"], []),
    "gzip-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
    "gzip-no-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
}


@pytest.mark.parametrize("spec", HEADS)
def test_fault_changes_exactly_this_of_the_head(mock: MockServer, spec: str) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", spec, "Origin: https://evil.example", "Accept-Encoding: gzip")
    removed, added = HEADS[spec]
    added = [field.replace("BODY", str(len(clean.body))) for field in added]
    assert sorted(steady_head(faulty)) == sorted([f for f in steady_head(clean) if f not in removed] + added)
    assert faulty.end == "fin"
    body = faulty.body
    if spec.startswith("gzip"):
        body = gzip.decompress(body)
    assert steady(body) == steady(clean.body)


def test_constant_request_id_is_constant(mock: MockServer) -> None:
    answers = [play(mock, "raw-text", "[[mock fault=constant-request-id]]") for _ in range(2)]
    assert answers[0].header("x-request-id") == answers[1].header("x-request-id") != []


def test_gzip_with_flush_decodes_chunk_by_chunk(mock: MockServer) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", "gzip-flush", "Accept-Encoding: gzip")
    decoder = zlib.decompressobj(31)
    decoded = [steady(decoder.decompress(chunk)) for chunk in faulty.chunks]
    assert decoded == [*steady_chunks(clean), b""]


def test_gzip_without_flush_holds_the_text_until_the_end(mock: MockServer) -> None:
    _, faulty = clean_and_faulty(mock, "openai-chat", "gzip-no-flush", "Accept-Encoding: gzip")
    assert zlib.decompressobj(31).decompress(b"".join(faulty.chunks[:-1])) == b""


@pytest.mark.parametrize("spec", ["gzip-flush", "gzip-no-flush"])
def test_gzip_needs_a_client_that_offers_it(mock: MockServer, spec: str) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", spec, "Accept-Encoding: br, gzip;q=0")
    assert steady_head(faulty) == steady_head(clean)
    assert steady_chunks(faulty) == steady_chunks(clean)


def test_content_length_comes_with_the_whole_body(mock: MockServer) -> None:
    _, faulty = clean_and_faulty(mock, "openai-chat", "content-length")
    assert faulty.header("content-length") == [str(len(faulty.rest))]


def test_no_answer_reads_and_says_nothing(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock fault=no-answer]]")
    assert (answer.status, answer.end) == (0, "open")


def test_accept_close_closes_without_a_byte(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock fault=accept-close]]")
    assert (answer.status, answer.end) == (0, "fin")


def test_html_in_place_of_a_stream(mock: MockServer) -> None:
    answer = play(mock, "openai-chat", "[[mock fault=html-200]]")
    assert (answer.status, answer.header("content-type"), answer.rest) == (200, ["text/html; charset=utf-8"], HTML)


@pytest.mark.parametrize(("status", "retry_after"), [(400, []), (429, ["1"]), (500, []), (503, ["1"])])
def test_status_has_the_dialects_error_body(mock: MockServer, status: int, retry_after: list[str]) -> None:
    answer = play(mock, "openai-chat", f"[[mock fault=status:{status}]]")
    assert (answer.status, answer.header("retry-after")) == (status, retry_after)
    assert set(json.loads(answer.rest)["error"]) == {"message", "type", "param", "code"}
    problem = play(mock, "event-json", f"[[mock fault=status:{status}]]")
    assert (problem.status, problem.header("content-type")) == (status, ["application/problem+json"])
    assert json.loads(problem.rest)["status"] == status


def test_an_unframed_error_falls_out_of_its_event(mock: MockServer) -> None:
    _, json_error = clean_and_faulty(mock, "openai-chat", "error-unframed,error-lines:2")
    _, raw_error = clean_and_faulty(mock, "event-text", "error-unframed,error-lines:2")
    first, second, third = (
        "the upstream model failed while it was generating",
        "streamgauge-second line",
        "streamgauge-third line",
    )
    assert f'"{first}\n{second}\r\n\r\n{third}"'.encode() in json_error.chunks[-1]
    assert raw_error.chunks[-1] == f"event: error\ndata: {first}\n{second}\n\n{third}\n\n".encode()


def test_an_error_that_is_a_bare_string(mock: MockServer) -> None:
    _, streamed = clean_and_faulty(mock, "openai-chat", "error-string,error-event:2")
    refused = play(mock, "openai-chat", "[[mock fault=error-string,status:503]]")
    page = play(mock, "openai-chat", "[[mock fault=error-string,html-200]]")
    assert json.loads(streamed.chunks[-1][6:]) == {"error": "the upstream model failed while it was generating"}
    assert json.loads(refused.rest) == {"error": "the model is overloaded"}
    assert (refused.status, refused.header("content-length")) == (503, [str(len(refused.rest))])
    assert page.rest == HTML


def test_chunks_for_a_client_of_http10(mock: MockServer) -> None:
    clean, faulty = (
        exchange(mock.url, request_bytes("openai-chat", f"[[mock seed=5 {keys}]]", version="1.0"))
        for keys in ("ttft=0", "fault=http10-chunked")
    )
    assert steady_head(faulty) == [*steady_head(clean)[:-1], "Connection: close", "Transfer-Encoding: chunked"]
    assert (steady(faulty.body), faulty.whole, faulty.end) == (steady(clean.rest), True, "fin")
    refused = play(mock, "openai-chat", "[[mock fault=http10-chunked]]")
    assert (refused.status, b"needs http/1.0" in refused.rest) == (400, True)


def test_refusals_of_their_own(mock: MockServer) -> None:
    broken = play(mock, "openai-chat", "[[mock fault=status-lines:429]]")
    assert (broken.status, broken.header("retry-after")) == (429, ["1"])
    assert json.loads(broken.rest)["error"]["message"] == LINES
    too_long = play(mock, "openai-chat", "[[mock fault=context-length]]")
    assert (too_long.status, json.loads(too_long.rest)["error"]["code"]) == (400, "context_length_exceeded")
    hasty = play(mock, "raw-text", "[[mock fault=no-retry-after,status:503]]")
    assert (hasty.status, hasty.header("retry-after"), hasty.header("x-request-id") != []) == (503, [], True)
    wrong, right = (
        play(mock, "raw-text", "[[mock fault=strict-accept]]", f"Accept: {accept}")
        for accept in ("*/*", "text/html, Text/Event-Stream;q=0.5")
    )
    assert (wrong.status, b"got */*" in wrong.rest, right.status) == (406, True, 200)


def test_a_late_head_comes_with_the_first_token(mock: MockServer) -> None:
    play(mock, "raw-text", "[[mock id=late-head ttft=30ms fault=late-head]]")
    entry = httpx.get(f"{mock.url}/_mock/streams/late-head", params={"wait": 5}).json()["streams"][-1]
    assert entry["head_ns"] - entry["arrival_ns"] >= 30_000_000


@pytest.mark.parametrize(("spec", "quoted"), [("secret-in-error:2", CANARY), ("stack-trace:2", "\\n   at System.Net")])
def test_error_that_tells_too_much(mock: MockServer, spec: str, quoted: str) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", spec)
    assert steady_chunks(faulty)[:-1] == steady_chunks(clean)[:3]
    assert faulty.chunks[-1].startswith(b'data: {"error":{"message":')
    assert quoted.encode() in faulty.chunks[-1]
    assert (faulty.whole, faulty.end) == (True, "fin")


# Faults of the whole server: what is sent, and the first line and content type that answer it.
BAD_JSON = b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 4\r\n\r\n{,,}"
NO_PROMPT = b"POST /plain HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
WRONG_METHOD = b"GET /v1/chat/completions HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "request_", "status"),
    [("ok-on-bad-json", BAD_JSON, 400), ("no-validation", NO_PROMPT, 400), ("no-allow", WRONG_METHOD, 405)],
)
def test_server_wide_fault(mock: MockServer, name: str, request_: bytes, status: int) -> None:
    right = exchange(mock.url, request_)
    assert right.status == status
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=(name,))) as faulty:
        wrong = exchange(faulty.url, request_)
    if name == "no-allow":
        assert (right.header("allow"), wrong.status, wrong.header("allow")) == (["POST"], 405, [])
    else:
        assert (wrong.status, wrong.whole) == (200, True)


def test_a_fragile_server_does_not_get_over_a_client_that_leaves() -> None:
    with MockServer(MockConfig(tokens=50, ttft="0", itl="20ms", faults=("fragile",))) as fragile:
        assert play(fragile, "raw-text", "[[mock tokens=1]]").status == 200
        with connect(fragile.url) as client:
            client.sendall(request_bytes("raw-text", "[[mock id=left]]"))
            client.recv(100)
        httpx.get(f"{fragile.url}/_mock/streams/left", params={"wait": 5})
        assert play(fragile, "raw-text", "[[mock tokens=1]]").status == 500


def test_a_leaking_server_runs_out_of_slots() -> None:
    with MockServer(MockConfig(tokens=50, ttft="0", itl="20ms", key_slots=1, faults=("leaks-slots",))) as leaking:
        assert play(leaking, "raw-text", "[[mock tokens=1]]").status == 200
        with connect(leaking.url) as client:
            client.sendall(request_bytes("raw-text", "[[mock id=left]]"))
            client.recv(100)
        httpx.get(f"{leaking.url}/_mock/streams/left", params={"wait": 5})
        assert play(leaking, "raw-text", "[[mock tokens=1]]").status == 429


@pytest.mark.parametrize(
    ("path", "status", "begins"), [("/v1/chat/completions", 405, b'{"error"'), ("/stream", 200, b"")]
)
def test_head_has_a_body_as_if_it_were_get(mock: MockServer, path: str, status: int, begins: bytes) -> None:
    request = f"HEAD {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n".encode()
    right = exchange(mock.url, request)
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=("head-as-get",))) as faulty:
        wrong = exchange(faulty.url, request)
    assert (right.status, right.body) == (405, b"")
    assert wrong.status == status
    assert wrong.body.startswith(begins or b"data: ")


def test_a_server_that_always_streams() -> None:
    request = request_bytes("openai-chat", "hi", stream=False)
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=("always-streams",))) as faulty:
        answer = exchange(faulty.url, request)
    assert answer.header("content-type") == ["text/event-stream"]
    assert answer.chunks[-1] == b"data: [DONE]\n\n"


def half_closed(server: MockServer) -> tuple[bytes, str]:
    """What still comes after the first bytes, and how it ends, to a client that has closed its sending side."""
    with connect(server.url) as client:
        client.sendall(request_bytes("raw-text", "[[mock id=half tokens=30 itl=5ms]]"))
        first = client.recv(65_536)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client, first, silence_s=0.3)


def test_a_half_close_that_is_not_got_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with MockServer(MockConfig(ttft="0", on_disconnect="continue")) as going_on:
        data, end = half_closed(going_on)
    assert (end, data.endswith(b"0\r\n\r\n")) == ("fin", True)
    with MockServer(MockConfig(ttft="0", on_disconnect="continue", faults=("half-close-hangs",))) as hanging:
        data, end = half_closed(hanging)
        assert (end, data.endswith(b"0\r\n\r\n")) == ("open", False)
        monkeypatch.setattr(player, "HANG_NS", 1_000_000)
        assert half_closed(hanging)[1] == "fin"
        entry = httpx.get(f"{hanging.url}/_mock/streams/half", params={"wait": 5}).json()["streams"][-1]
    assert (entry["end"], entry["disconnect"]["kind"]) == ("disconnected", "fin")


def test_a_server_wide_fault_is_refused_in_a_directive(mock: MockServer) -> None:
    answer = play(mock, "openai-chat", "[[mock fault=no-allow]]")
    assert (answer.status, b"--fault no-allow" in answer.rest) == (400, True)


def test_a_fault_that_a_dialect_cannot_show(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock fault=finish-null]]")
    assert answer.status == 400
    assert b"finish-null needs openai" in answer.rest
    with MockServer(MockConfig(tokens=6, ttft="0", itl="0", faults=("finish-null", "crlf"))) as server:
        # A flag speaks to all dialects: where it can't apply it doesn't.
        answer = play(server, "raw-text", "x")
        assert answer.chunks[0].endswith(b"\r\n\r\n")


def test_an_endless_stream_cannot_be_held_to_its_end(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock script=endless fault=no-flush]]")
    assert (answer.status, b"needs finite" in answer.rest) == (400, True)


def test_faults_compose(mock: MockServer) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", "crlf,no-terminal,wrong-content-type,fin:4")
    assert steady_chunks(faulty) == [chunk.replace(b"\n", b"\r\n") for chunk in steady_chunks(clean)[: T0 + 4]]
    assert faulty.header("content-type") == ["text/plain"]


def test_every_fault_is_exercised_here() -> None:
    exercised = {case.name for case in CASES + MORE_CASES} | {spec.partition(":")[0] for spec in HEADS}
    exercised |= {"no-answer", "accept-close", "html-200", "status", "secret-in-error", "stack-trace", "rst-at"}
    exercised |= {"100-first", "103-first", "error-unframed", "status-lines", "context-length"}
    exercised |= {"fragile", "leaks-slots", "head-as-get", "always-streams", "half-close-hangs"}
    exercised |= {"error-string", "http10-chunked", "no-retry-after", "strict-accept"}
    exercised |= {"ok-on-bad-json", "no-validation", "no-allow"}
    exercised |= {"no-input-limit", "ignores-max-tokens", "overload-status"}  # see test_mock_limits
    of_vendors = {fault.name for fault in (*ndjson.FAULTS, *vendors.FAULTS)}  # see test_mock_vendor_faults
    assert exercised == set(FAULTS) - of_vendors


def test_every_fault_says_what_it_does_and_hooks_in_somewhere() -> None:
    for fault in FAULTS.values():
        hooks = (
            fault.items,
            fault.events,
            fault.line,
            fault.body,
            fault.head,
            fault.wire,
            fault.answer,
            fault.answered,
        )
        assert fault.sentence
        assert fault.server_wide != any(hooks)


def raw_and_writes(mock: MockServer, stream_id: str, directive: str) -> tuple[bytes, str, dict]:
    """The bytes of an answer as they came, how they ended, and the ledger's writes."""
    with connect(mock.url) as client:
        client.sendall(request_bytes("event-json", f"[[mock id={stream_id} seed=5 {directive}]]"))
        raw, end = read_to_end(client)
    streams = httpx.get(f"{mock.url}/_mock/streams/{stream_id}", params={"wait": 5}).json()["streams"]
    # The request id differs; its length must stay, because faults count bytes.
    return re.sub(rb"req_[0-9a-f]{24}", b"req_" + b"0" * 24, raw), end, streams[-1]["writes"]


@pytest.mark.parametrize("size", [1, 9, 60, 300, 400])
def test_rst_at_a_byte_cuts_there(mock: MockServer, size: int) -> None:
    clean, _, _ = raw_and_writes(mock, "rst-at", "tokens=6")
    faulty, end, writes = raw_and_writes(mock, "rst-at", f"tokens=6 fault=rst-at:{size}")
    assert (faulty, end) == (clean[:size], "rst")
    assert sum(writes["bytes"]) == size


def test_an_rst_beyond_the_last_byte_never_comes(mock: MockServer) -> None:
    clean, _, _ = raw_and_writes(mock, "rst-at", "tokens=6")
    assert raw_and_writes(mock, "rst-at", "tokens=6 fault=rst-at:9999")[:2] == (clean, "fin")


@pytest.mark.parametrize(
    ("spec", "sizes"), [("write-every:5", {1, 2, 3, 4, 5}), ("write-every", {1}), ("drip:1us@0", {1})]
)
def test_write_boundaries(mock: MockServer, spec: str, sizes: set[int]) -> None:
    clean, _, whole = raw_and_writes(mock, "cuts", "tokens=3")
    faulty, end, writes = raw_and_writes(mock, "cuts", f"tokens=3 fault={spec}")
    assert (faulty, end) == (clean, "fin")
    head = 0 if spec.startswith("write") else 1  # the drip begins with the first token
    assert set(writes["bytes"][head:]) <= sizes
    assert len(writes["bytes"]) > len(whole["bytes"])
    assert [token for token in writes["token"] if token is not None] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("100-first", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("103-first", b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"),
    ],
)
def test_an_interim_response_precedes_an_unchanged_answer(mock: MockServer, name: str, first: bytes) -> None:
    clean, _, _ = raw_and_writes(mock, "interim", "tokens=3")
    assert raw_and_writes(mock, "interim", f"tokens=3 fault={name}")[0] == first + clean


def gaps_ms(writes: dict) -> list[float]:
    at = [t_ns for t_ns, token in zip(writes["t_ns"], writes["token"], strict=True) if token is not None]
    return [(later - earlier) / 1e6 for earlier, later in pairwise(at)]


def test_one_late_event_delays_no_other(mock: MockServer) -> None:
    # Due at 0, 20, 40+50, 60, 80, 100: two come with the late one, and the last in its own time.
    expected = pytest.approx([20, 70, 0, 0, 10], abs=8)
    directive = "tokens=6 itl=20ms fault=late-event:50ms@2"
    assert quietly(lambda: gaps_ms(raw_and_writes(mock, "late", directive)[2]), expected) == expected


def test_a_stall_delays_all_that_follows(mock: MockServer) -> None:
    expected = pytest.approx([20, 70, 20], abs=8)
    directive = "tokens=4 itl=20ms fault=stall:50ms@2"
    assert quietly(lambda: gaps_ms(raw_and_writes(mock, "stall", directive)[2]), expected) == expected


@pytest.mark.parametrize(("name", "beats"), [("stall", True), ("stall-quiet", False)])
def test_a_pause_with_and_without_heartbeats(mock: MockServer, name: str, beats: bool) -> None:
    raw, _, _ = raw_and_writes(mock, "beats", f"tokens=4 heartbeat=20ms fault={name}:90ms@2")
    assert (b": heartbeat" in raw) is beats


def test_a_fault_by_header_is_the_fault_by_directive(mock: MockServer) -> None:
    by_directive = play(mock, "json-string", "[[mock seed=5 fault=crlf,fin:2]]")
    by_header = play(mock, "json-string", "hi", "X-Mock-Fault: crlf, fin:2", "X-Mock-Directive: seed=5")
    assert steady_chunks(by_header) == steady_chunks(by_directive)
    assert (by_header.end, by_header.whole, len(by_header.chunks)) == ("fin", False, 2)
    assert play(mock, "json-string", "hi", "X-Mock-Fault: gremlins").status == 400


def struck(percent: str, seed: int, count: int = 60) -> list[bool]:
    config = MockConfig(tokens=2, ttft="0", itl="0", seed=seed, faults=(f"status:503@{percent}",))
    with MockServer(config) as server:
        return [play(server, "raw-text", f"[[mock id=n{number}]]").status == 503 for number in range(count)]


def test_a_rate_strikes_its_share_and_the_same_streams_every_time() -> None:
    first = struck("30%", seed=1)
    assert first == struck("30%", seed=1)
    assert first != struck("30%", seed=2)
    assert 8 <= sum(first) <= 28
    assert (sum(struck("0%", 1, 10)), sum(struck("100%", 1, 10))) == (0, 10)


def test_a_fault_strikes_the_event_that_holds_its_token(mock: MockServer) -> None:
    """The middle token, 3, shares an event with token 2, or with 4 and 5."""
    for size, event in ((2, 1), (3, 1)):
        answer = play(mock, "raw-text", f"[[mock tokens=6 tokens_per_event={size} fault=bom-mid]]")
        assert [chunk.startswith(BOM) for chunk in answer.chunks].index(True) == event
