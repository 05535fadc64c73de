"""Each fault on the wire of the vendors' dialects: exactly that, and otherwise the bytes of the clean stream."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mock_provider.dialects import DIALECTS
from mock_provider.dialects.base import MESSAGE
from mock_provider.dialects.gemini import ARRAY as GEMINI_ARRAY
from mock_provider.embedded import MockServer
from mock_provider.faults import FAULTS
from mock_provider.faults.errors import ERROR_TEXT
from mock_provider.faults.security import CANARY
from mock_provider.text import token_texts
from tests.mock_provider.mock_wire import Answer, connect, read_to_end, steady
from tests.mock_provider.vendor_wire import VENDORS, Vendor, play, request_bytes

TOKENS, HALF, SEED = 6, 3, 5
BOM = b"\xef\xbb\xbf"
FEATURES = {dialect.name: dialect.features for dialect in (*DIALECTS, GEMINI_ARRAY)}


@dataclass
class Clean:
    """The chunks of a clean stream, LF at the end of each line, and how to make others like them."""

    vendor: Vendor
    chunks: list[bytes]
    texts: list[str]
    cut: "Callable[[int], Clean]"  # the clean stream of fewer tokens

    @property
    def middle(self) -> int:
        return self.vendor.before + HALF

    def head(self, tokens: int) -> list[bytes]:
        return self.chunks[: self.vendor.before + tokens]

    def tail(self) -> list[bytes]:
        return self.chunks[self.vendor.before + TOKENS :]

    def text(self, index: int, literal: str) -> bytes:
        """The chunk of a token, with another JSON literal in place of its text."""
        old = json.dumps(self.texts[index]).encode()
        chunk = self.chunks[self.vendor.before + index]
        assert chunk.count(old) == 1
        return chunk.replace(old, literal.encode("utf-8", "surrogateescape"))

    def each(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        return [change(chunk) for chunk in self.chunks]

    def tokens(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        before = self.vendor.before
        return [change(c) if before <= i < before + TOKENS else c for i, c in enumerate(self.chunks)]

    def at(self, index: int, *new: bytes) -> list[bytes]:
        """With `new` in place of one chunk."""
        index %= len(self.chunks)
        return [*self.chunks[:index], *new, *self.chunks[index + 1 :]]

    def error(self, message: str) -> bytes:
        told = json.dumps(message)
        name = self.vendor.name
        if name == "anthropic":
            error = f'{{"type":"error","error":{{"type":"overloaded_error","message":{told}}}}}'
            return f"event: error\ndata: {error}\n\n".encode()
        if name == "cohere":
            end = self.cut(2).chunks[-1]
            return end.replace(b'"finish_reason":"COMPLETE"', f'"error":{told},"finish_reason":"ERROR"'.encode())
        if name.startswith("gemini"):
            value = (
                f'{{\n  "error": {{\n    "code": 503,\n    "message": {told},\n    "status": "UNAVAILABLE"\n  }}\n}}'
            )
            return (f"{value}\n\n" if name == "gemini" else f",\r\n{value}\n]\n").encode()
        return f'{{"error":{told}}}\n'.encode()


def pretty(chunk: bytes) -> bytes:
    opening, payload = chunk.removesuffix(b"\n\n").split(b"data: ")
    lines = json.dumps(json.loads(payload), indent=2).splitlines()
    return opening + "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def spread(chunk: bytes) -> bytes:
    return json.dumps(json.loads(chunk), indent=2).encode() + b"\n"


def unescaped(clean: Clean) -> list[bytes]:
    texts = [json.dumps(text, ensure_ascii=False) for text in clean.texts]
    return [*clean.head(0), *(clean.text(i, text) for i, text in enumerate(texts)), *clean.tail()]


def split_writes(clean: Clean) -> list[bytes]:
    out = []
    for chunk in unescaped(clean):
        cut = next((i + 1 for i, byte in enumerate(chunk) if byte >= 0xC2), None)
        out += [chunk] if cut is None else [chunk[:cut], chunk[cut:]]
    return out


def bad_json(clean: Clean) -> list[bytes]:
    chunk = clean.chunks[clean.middle]
    line_feeds = len(chunk) - len(chunk.rstrip(b"\n"))
    return clean.at(clean.middle, chunk[: -line_feeds - 1] + chunk[len(chunk) - line_feeds :])


def cumulative(clean: Clean) -> list[bytes]:
    sums = ["".join(clean.texts[: i + 1]) for i in range(TOKENS)]
    return [*clean.head(0), *(clean.text(i, json.dumps(text)) for i, text in enumerate(sums)), *clean.tail()]


def merged(clean: Clean) -> list[bytes]:
    data = clean.chunks[clean.middle + 1].partition(b"data: ")[2]
    chunk = clean.chunks[clean.middle][:-1] + b"data: " + data
    return [*clean.chunks[: clean.middle], chunk, *clean.chunks[clean.middle + 2 :]]


def comments(clean: Clean) -> list[bytes]:
    comment = b": keep-alive\n\n"
    first, second = clean.vendor.before, clean.vendor.before + 4
    return [*clean.chunks[:first], comment, *clean.chunks[first:second], comment, *clean.chunks[second:]]


def afterthought(clean: Clean) -> list[bytes]:
    chunk = clean.text(TOKENS - 1, '" afterthought"')
    counts = {"candidatesTokenCount": (6, 7), "totalTokenCount": (12, 13)}  # the usage in every event of Gemini
    for name, (old, new) in counts.items():
        chunk = chunk.replace(f'"{name}":{old}'.encode(), f'"{name}":{new}'.encode())
    return [*clean.chunks, chunk]


def as_content(clean: Clean) -> list[bytes]:
    short = clean.cut(3)
    return [*clean.head(2), short.text(2, json.dumps(ERROR_TEXT)), *short.chunks[clean.vendor.before + 3 :]]


def blocks(clean: Clean) -> list[bytes]:
    body = b"".join(clean.chunks)
    if clean.vendor.name == "gemini":
        body = body.replace(b"\n", b"\r\n")
    return [body[i : i + 100] for i in range(0, len(body), 100)]


def framed(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


@dataclass(frozen=True)
class Case:
    spec: str
    expect: Callable[[Clean], list[bytes]]
    end: str = "fin"
    whole: bool = True
    rest: Callable[[list[bytes]], bytes] = lambda _: b""  # from the clean chunks as they are on the wire

    @property
    def name(self) -> str:
        return re.split("[:@]", self.spec)[0]


CASES = [
    Case("crlf", lambda c: c.each(lambda x: x.replace(b"\n", b"\r\n"))),
    Case("cr", lambda c: c.each(lambda x: x.replace(b"\n", b"\r"))),
    Case("no-space", lambda c: c.each(lambda x: re.sub(rb"(?m)^(event|data): ", rb"\1:", x))),
    Case("double-space", lambda c: c.each(lambda x: re.sub(rb"(?m)^(event|data): ", rb"\1:  ", x))),
    Case("bom", lambda c: c.at(0, BOM + c.chunks[0])),
    Case("bom-mid", lambda c: c.at(c.middle, BOM + c.chunks[c.middle])),
    Case("unknown-field", lambda c: c.tokens(lambda x: x[:-1] + b"trace: 1\n\n")),
    Case("comment-heartbeats", comments),
    Case("merged-events", merged),
    Case("rewrapped", lambda c: c.each(lambda x: re.sub(rb"(?m)^(?=.)", b"data: ", x))),
    Case("empty-data", lambda c: c.at(c.middle, b"data: \n\n", c.chunks[c.middle])),
    Case("metadata-only", lambda c: c.at(c.middle, b"event: ping\n\n", c.chunks[c.middle])),
    Case("id-nul", lambda c: c.at(c.middle, c.chunks[c.middle][:-1] + b"id: a\0b\n\n")),
    Case("retry-bad", lambda c: c.at(c.middle, c.chunks[c.middle][:-1] + b"retry: soon\n\n")),
    Case("pretty-json", lambda c: c.tokens(pretty)),
    Case("bad-json", bad_json),
    Case("utf8-invalid", lambda c: c.at(c.middle, c.text(HALF, json.dumps(c.texts[HALF])[:-1] + '\udcff"'))),
    Case(
        "split-utf8",  # with this seed the middle token is " caf\u00e9"; its last byte goes to the next one
        lambda c: [
            *c.head(HALF),
            c.text(HALF, '" caf\udcc3"'),
            c.text(HALF + 1, '"\udca9 na\\u00efve"'),
            *c.chunks[c.middle + 2 :],
        ],
    ),
    Case("split-utf8-writes", split_writes),
    Case("raw-separators", unescaped),
    Case("cumulative", cumulative),
    Case("blank-line", lambda c: c.at(c.middle, b"\n", c.chunks[c.middle])),
    Case("spread-lines", lambda c: c.tokens(spread)),
    Case("no-final-newline", lambda c: c.at(-1, c.chunks[-1][:-1])),
    Case("no-final-blank", lambda c: c.at(-1, c.chunks[-1][:-1])),
    Case("no-terminal", lambda c: c.chunks[:-1]),
    Case("double-terminal", lambda c: [*c.chunks, c.chunks[-1]]),
    Case("content-after-terminal", afterthought),
    Case("error-event:2", lambda c: [*c.head(2), c.error(MESSAGE)]),
    Case("error-then-done:2", lambda c: [*c.head(2), c.error(MESSAGE), c.cut(2).chunks[-1]]),
    Case("error-as-content:2", as_content),
    Case("stall:20ms@2", lambda c: c.chunks),
    Case("stall@2", lambda c: c.head(2), end="open", whole=False),
    Case("silent", lambda _: [], end="open", whole=False),
    Case("late-close:20ms", lambda c: c.chunks),
    Case("no-flush", lambda c: [b"".join(c.chunks)]),
    Case("one-behind", lambda c: c.chunks),
    Case("block:100", blocks),
    Case("no-final-chunk", lambda c: c.chunks, whole=False),
    Case(
        "truncated-chunk:2",
        lambda c: c.head(2),
        whole=False,
        rest=lambda chunks: framed(chunks[0])[: len(framed(chunks[0])) // 2],
    ),
    Case(
        "bad-chunk-size",
        lambda c: c.head(HALF),
        whole=False,
        rest=lambda chunks: (
            b"zz\r\n" + framed(chunks[0]).partition(b"\r\n")[2] + b"".join(map(framed, chunks[1:])) + b"0\r\n\r\n"
        ),
    ),
    Case("rst:2", lambda c: c.head(2), end="rst", whole=False),
    Case("fin:2", lambda c: c.head(2), whole=False),
]


def directive(spec: str = "", tokens: int = TOKENS) -> str:
    """A prompt of six words, which the usage counts, whatever it asks for."""
    text = (FAULTS[re.split("[:@]", spec)[0]].text if spec else None) or "ascii"
    words = f"[[mock id=t seed={SEED} text={text} tokens={tokens}"
    return f"{words} fault={spec}]]" if spec else f"{words} ttft=0]]"


def clean_of(mock: MockServer, vendor: Vendor, spec: str, tokens: int = TOKENS) -> tuple[Answer, Clean]:
    text = FAULTS[re.split("[:@]", spec)[0]].text or "ascii"
    prompt = directive(tokens=tokens).replace("text=ascii", f"text={text}")
    answer = play(mock.url, vendor, prompt)
    assert (answer.status, answer.end, answer.whole) == (200, "fin", True)
    chunks = answer.chunks
    if vendor.name == "gemini":
        chunks = [chunk.replace(b"\r\n", b"\n") for chunk in chunks]
    assert len(chunks) == vendor.before + tokens + vendor.after
    words = token_texts(text, SEED)
    texts = [next(words) for _ in range(tokens)]
    return answer, Clean(vendor, chunks, texts, lambda n: clean_of(mock, vendor, spec, n)[1])


def applies(spec: str, vendor: Vendor) -> bool:
    has = FEATURES[vendor.name] | {"stream", "finite", "http/1.1"} | ({"lf"} if vendor.name != "gemini" else set())
    return FAULTS[re.split("[:@]", spec)[0]].needs <= has


def steady_head(answer: Answer) -> list[str]:
    return steady("\n".join(answer.head).encode()).decode().split("\n")


@pytest.mark.parametrize(
    ("vendor", "case"),
    [(vendor, case) for vendor in VENDORS.values() for case in CASES if applies(case.spec, vendor)],
    ids=lambda value: getattr(value, "spec", None) or value.name,
)
def test_fault_changes_exactly_this_of_the_body(mock: MockServer, vendor: Vendor, case: Case) -> None:
    answer, clean = clean_of(mock, vendor, case.spec)
    faulty = play(mock.url, vendor, directive(case.spec))
    expected = case.expect(clean)
    if vendor.name == "gemini" and case.name not in ("block", "cr"):
        expected = [chunk.replace(b"\n", b"\r\n") for chunk in expected]
    assert faulty.chunks == expected
    rest = case.rest(answer.chunks[len(expected) :])
    assert (faulty.end, faulty.whole, faulty.rest) == (case.end, case.whole, rest)
    assert steady_head(faulty) == steady_head(answer)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_a_fault_that_cannot_be_shown_is_refused(mock: MockServer, vendor: Vendor) -> None:
    for spec in {case.spec for case in CASES if not applies(case.spec, vendor)}:
        answer = play(mock.url, vendor, directive(spec))
        assert (answer.status, b" needs " in answer.rest) == (400, True), spec


HEADS: dict[str, tuple[str | None, list[str]]] = {  # the name of a field that goes, the fields that come
    "wrong-content-type": ("Content-Type", ["Content-Type: text/plain"]),
    "no-content-type": ("Content-Type", []),
    "two-content-types": (None, ["Content-Type: application/json"]),
    "cache-public": ("Cache-Control", ["Cache-Control: public, max-age=3600"]),
    "no-accel-header": ("X-Accel-Buffering", []),
    "constant-request-id": (None, []),
    "no-request-id": ("X-Request-Id", []),
    "cors-wild": (None, ["Access-Control-Allow-Origin: https://e.example", "Access-Control-Allow-Credentials: true"]),
    "content-length": ("Transfer-Encoding", ["Content-Length: BODY"]),
    "close-delimited": ("Transfer-Encoding", []),
    "gzip-flush": (None, ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
    "gzip-no-flush": (None, ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
}


@pytest.mark.parametrize("spec", HEADS)
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_fault_changes_exactly_this_of_the_head(mock: MockServer, vendor: Vendor, spec: str) -> None:
    clean = clean_of(mock, vendor, spec)[0]
    faulty = play(mock.url, vendor, directive(spec), "Origin: https://e.example", "Accept-Encoding: gzip")
    gone, added = HEADS[spec]
    kept = [field for field in steady_head(clean) if gone is None or not field.startswith(f"{gone}: ")]
    assert len(kept) == len(clean.head) - (gone is not None)
    assert sorted(steady_head(faulty)) == sorted(kept + [x.replace("BODY", str(len(clean.body))) for x in added])
    assert faulty.end == "fin"
    assert (gzip.decompress(faulty.body) if spec.startswith("gzip") else faulty.body) == clean.body


@pytest.mark.parametrize("status", [401, 429, 500, 503])
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_status_has_the_vendors_error_body(mock: MockServer, vendor: Vendor, status: int) -> None:
    answer = play(mock.url, vendor, directive(f"status:{status}"))
    assert answer.status == status
    assert answer.header("retry-after") == (["1"] if status in (429, 503) else [])
    told = {429: "rate limit reached", 503: "the model is overloaded"}.get(status, f"mock status {status}")
    names = {
        401: ("authentication_error", "UNAUTHENTICATED"),
        429: ("rate_limit_error", "RESOURCE_EXHAUSTED"),
        500: ("api_error", "INTERNAL"),
        503: ("overloaded_error", "UNAVAILABLE"),
    }[status]
    google = {"error": {"code": status, "message": told, "status": names[1]}}
    assert (
        json.loads(answer.rest)
        == {
            "anthropic": {"type": "error", "error": {"type": names[0], "message": told}},
            "gemini": google,
            "gemini-array": [google],
            "ollama-chat": {"error": told},
            "ollama-generate": {"error": told},
            "cohere": {"message": told},
        }[vendor.name]
    )


@pytest.mark.parametrize(("spec", "quoted"), [("secret-in-error:2", CANARY), ("stack-trace:2", "\\n   at System.Net")])
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_error_that_tells_too_much(mock: MockServer, vendor: Vendor, spec: str, quoted: str) -> None:
    answer, _ = clean_of(mock, vendor, spec)
    faulty = play(mock.url, vendor, directive(spec))
    assert faulty.chunks[:-1] == answer.chunks[: vendor.before + 2]
    assert quoted.encode() in faulty.chunks[-1]
    assert (faulty.whole, faulty.end) == (True, "fin")


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_answers_that_are_none(mock: MockServer, vendor: Vendor) -> None:
    page = play(mock.url, vendor, directive("html-200"))
    assert (page.status, page.header("content-type")) == (200, ["text/html; charset=utf-8"])
    closed = play(mock.url, vendor, directive("accept-close"))
    assert (closed.status, closed.end) == (0, "fin")
    assert play(mock.url, vendor, directive("no-answer")).end == "open"


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_no_fault_upsets_a_stream_of_thinking_and_calls(
    mock: MockServer, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a fault makes of them, no encoder raises in the server."""
    asked = "reasoning=2 " + ("" if vendor.name == "ollama-generate" else "tools=2 ")
    for name, fault in FAULTS.items():
        if applies(name, vendor) and not fault.server_wide:
            with connect(mock.url) as client:
                client.sendall(request_bytes(vendor, f"[[mock {asked}tokens=6 fault={name}]]"))
                read_to_end(client, silence_s=0.02)
            assert [record.getMessage() for record in caplog.records] == [], name


def test_every_fault_of_ndjson_is_exercised_here() -> None:
    exercised = {case.name for case in CASES} | set(HEADS)
    exercised |= {"no-answer", "accept-close", "html-200", "status", "secret-in-error", "stack-trace"}
    assert {name for name, fault in FAULTS.items() if "ndjson" in fault.needs} <= exercised
    assert exercised <= set(FAULTS)
