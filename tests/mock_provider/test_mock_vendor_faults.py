"""Each fault on the wire of the vendors' dialects: exactly that, and otherwise the bytes of the clean stream."""

import gzip
import json
import re
from functools import cache
from itertools import islice

import httpx
import pytest

from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.dialects.gemini import ARRAY as GEMINI_ARRAY
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.faults.http import HTML
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.text import token_texts
from tests.builders.together import together
from tests.mock_provider.fault_cases import CASES, EXPECTED, HEADS, RAW, TOGETHER, TOKENS, Case, Clean, name_of, same
from tests.mock_provider.mock_wire import Answer, connect, parse, patience_s, read_to_end, steady
from tests.mock_provider.vendor_wire import SHAPES, Vendor, play, request_bytes

SEED = 5
FEATURES = {dialect.name: dialect.features for dialect in (*DIALECTS, GEMINI_ARRAY)}
FEATURES |= {name: FEATURES["openai-chat"] - profile.lacks for name, profile in PROFILES.items()}


def directive(vendor: Vendor, spec: str = "", text: str = "ascii", tokens: int = TOKENS, more: str = "") -> str:
    """A prompt of as many words, which the usage counts, whether it asks for a fault or not."""
    words = ["[[mock id=t", f"seed={SEED} text={text} tokens={tokens}", vendor.directive, more]
    return " ".join(filter(None, [*words, f"fault={spec}]]" if spec else "ttft=0]]"]))


def text_of(spec: str) -> str:
    """The kind of text that shows all of its faults."""
    return next(filter(None, (FAULTS[name_of(one)].text for one in spec.split(","))), "ascii")


@cache
def clean_of(url: str, vendor: Vendor, text: str = "ascii", tokens: int = TOKENS, more: str = "") -> Clean:
    answer = play(url, vendor, directive(vendor, text=text, tokens=tokens, more=more))
    assert (answer.status, answer.end, answer.whole) == (200, "fin", True)
    assert more or len(answer.chunks) == vendor.before + tokens + vendor.after
    texts = list(islice(token_texts(text, SEED), tokens))
    return Clean(vendor, answer.chunks, texts, lambda n: clean_of(url, vendor, text, n, more))


def applies(spec: str, vendor: Vendor, *, calls: bool = False) -> bool:
    has = FEATURES[vendor.name] | {"stream", "finite", "http/1.1"}
    has |= {"lf"} if vendor.name != "gemini" else set()
    has |= {"tool-calls"} if calls and "tools" in has else set()
    fault = FAULTS[name_of(spec)]
    return fault.needs <= has and not fault.server_wide


def steady_head(answer: Answer) -> list[str]:
    return steady("\n".join(answer.head).encode()).decode().split("\n")


def raw_answer(mock: MockServer, vendor: Vendor, prompt: str) -> tuple[bytes, str]:
    with connect(mock.url) as client:
        request = request_bytes(vendor, prompt, "Origin: https://e.example")
        client.sendall(request)
        raw, end = read_to_end(client, silence_s=patience_s(request))
    # The request id differs; its length must stay, because faults count bytes.
    return re.sub(rb"req_[0-9a-f]{24}", b"req_" + b"0" * 24, raw), end


def shown(spec: str) -> list[Vendor]:
    """The vendors that can show a fault."""
    return [vendor for vendor in SHAPES.values() if applies(spec, vendor, calls=True)]


BODIES = [(case, shown(case.spec)) for case in CASES] + [(case, [SHAPES[name]]) for name, case in TOGETHER]


@pytest.mark.parametrize(("case", "vendors"), BODIES, ids=[case.spec for case, _ in BODIES])
def test_fault_changes_exactly_this_of_the_body(mock: MockServer, case: Case, vendors: list[Vendor]) -> None:
    assert vendors
    with together() as each:
        for vendor in vendors:
            with each(vendor.name):
                check_body(mock, vendor, case)


def check_body(mock: MockServer, vendor: Vendor, case: Case) -> None:
    text = text_of(case.spec)
    clean = clean_of(mock.url, vendor, text, more=case.more)
    faulty = play(mock.url, vendor, directive(vendor, case.spec, text, more=case.more))
    expected = case.expect(clean)
    if vendor.name == "gemini" and not case.as_is:
        expected = [chunk.replace(b"\n", b"\r\n") for chunk in expected]
    assert faulty.chunks == expected
    assert (expected == clean.wire) == (case.expect is same or case.name == "one-behind")
    rest = case.rest(clean.wire[len(expected) :])
    assert (faulty.end, faulty.whole, faulty.rest) == (case.end, case.whole, rest)
    assert steady_head(faulty) == steady_head(clean_answer(mock.url, vendor))


@cache
def clean_answer(url: str, vendor: Vendor) -> Answer:
    return play(url, vendor, directive(vendor))


@pytest.mark.parametrize("spec", HEADS)
def test_fault_changes_exactly_this_of_the_head(mock: MockServer, spec: str) -> None:
    vendors = shown(spec)
    assert vendors
    with together() as each:
        for vendor in vendors:
            with each(vendor.name):
                check_head(mock, vendor, spec)


def check_head(mock: MockServer, vendor: Vendor, spec: str) -> None:
    clean = clean_answer(mock.url, vendor)
    faulty = play(mock.url, vendor, directive(vendor, spec), "Origin: https://e.example", "Accept-Encoding: gzip")
    gone, added = HEADS[spec]
    kept = [line for line in steady_head(clean) if not line.startswith(tuple(gone))]
    assert len(kept) == len(clean.head) - len(gone)
    if added == ["TWICE"]:
        coding = ("HTTP/1.1", "Transfer-Encoding", "Connection")
        added = [line for line in kept if not line.startswith(coding)]
    assert sorted(steady_head(faulty)) == sorted(kept + [x.replace("BODY", str(len(clean.body))) for x in added])
    assert faulty.end == "fin"
    assert (gzip.decompress(faulty.body) if spec.startswith("gzip") else faulty.body) == clean.body


@pytest.mark.parametrize("spec", RAW)
def test_fault_changes_exactly_this_of_the_response(mock: MockServer, spec: str) -> None:
    vendors = shown(spec)
    assert vendors
    with together() as each:
        for vendor in vendors:
            with each(vendor.name):
                clean, end = raw_answer(mock, vendor, directive(vendor))
                assert (parse(clean, end).whole, end) == (True, "fin")
                expect, faulty_end = RAW[spec]
                assert raw_answer(mock, vendor, directive(vendor, spec)) == (expect(clean), faulty_end)


@pytest.mark.parametrize("vendor", SHAPES.values(), ids=SHAPES)
def test_every_fault_that_a_vendor_can_show_has_an_expectation(vendor: Vendor) -> None:
    able = {name for name in FAULTS if applies(name, vendor, calls=True)}
    assert able - EXPECTED == set(), "give them a Case in fault_cases"
    assert set(FAULTS) >= EXPECTED


WITHOUT_STREAM = [vendor for vendor in SHAPES.values() if not vendor.name.startswith("gemini")]  # by a field


def refusal(client: httpx.Client, vendor: Vendor, name: str, more: str = "", **fields: object) -> set[str]:
    """What the refusal of a fault says it needs; the empty set if it is not refused, or not clearly."""
    answer = client.post(vendor.path, json=vendor.body(directive(vendor, name, more=more), **fields))
    _, told, needs = answer.text.partition(f"fault {name} needs ")
    if answer.status_code != 400 or not told:
        return set()
    return set(needs.partition(";")[0].split(" and "))


@pytest.mark.parametrize("vendor", SHAPES.values(), ids=SHAPES)
def test_a_fault_that_cannot_be_shown_is_refused(mock: MockServer, vendor: Vendor) -> None:
    has = FEATURES[vendor.name] | {"stream", "finite", "http/1.1"} | ({"lf"} if vendor.name != "gemini" else set())
    refused = 0
    with httpx.Client(base_url=mock.url) as client:
        for name, fault in FAULTS.items():
            if not applies(name, vendor) and not fault.server_wide:
                assert refusal(client, vendor, name) == fault.needs - has, name
                refused += 1
            if "tools" in has and not applies(name, vendor, calls=True) and not fault.server_wide:
                assert refusal(client, vendor, name, "tools=2") == fault.needs - has - {"tool-calls"}, name
            if applies(name, vendor) and "finite" in fault.needs:
                assert refusal(client, vendor, name, "script=endless") == {"finite"}, name
    assert refused >= 3


@pytest.mark.parametrize("vendor", WITHOUT_STREAM, ids=lambda v: v.name)
def test_a_fault_of_streams_is_refused_where_there_is_none(mock: MockServer, vendor: Vendor) -> None:
    with httpx.Client(base_url=mock.url) as client:
        for name, fault in FAULTS.items():
            if applies(name, vendor) and "stream" in fault.needs:
                assert refusal(client, vendor, name, stream=False) == {"stream"}, name


def told_of(vendor: str, status: int, message: str) -> object:
    """An error before the stream, in the vendor's shape."""
    kinds = {
        401: ("authentication_error", "UNAUTHENTICATED"),
        429: ("rate_limit_error", "RESOURCE_EXHAUSTED"),
        500: ("api_error", "INTERNAL"),
        503: ("overloaded_error", "UNAVAILABLE"),
    }[status]
    google = {"error": {"code": status, "message": message, "status": kinds[1]}}
    if vendor == "azure" and status == 401:
        return {"error": {"code": "401", "message": message}}
    if vendor in PROFILES or vendor.startswith("openai-"):
        kind = "server_error" if status >= 500 else kinds[0]
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return {
        "anthropic": {"type": "error", "error": {"type": kinds[0], "message": message}},
        "gemini": google,
        "gemini-array": [google],
        "ollama": {"error": message},
        "ollama-generate": {"error": message},
        "cohere": {"message": message},
    }[vendor]


def check_answer(answer: Answer, status: int, more: list[str]) -> None:
    """A whole answer with exactly the fields that one needs."""
    line, *fields = steady_head(answer)
    assert line.startswith(f"HTTP/1.1 {status} ")
    length = f"Content-Length: {len(answer.rest)}"
    assert sorted(fields) == sorted([*more, length, "X-Request-Id: req_ID", "Connection: close"])
    assert answer.end == "fin"


@pytest.mark.parametrize("status", [401, 429, 500, 503])
@pytest.mark.parametrize("vendor", SHAPES.values(), ids=SHAPES)
def test_status_has_the_vendors_error_body(mock: MockServer, vendor: Vendor, status: int) -> None:
    answer = play(mock.url, vendor, directive(vendor, f"status:{status}"))
    google, ollama = vendor.name.startswith("gemini"), vendor.name.startswith("ollama")
    charset = "; charset=UTF-8" if google else "; charset=utf-8" if ollama else ""
    later = ["Retry-After: 1"] if status in (429, 503) else []
    check_answer(answer, status, [f"Content-Type: application/json{charset}", *later])
    message = {429: "rate limit reached", 503: "the model is overloaded"}.get(status, f"mock status {status}")
    assert json.loads(answer.rest) == told_of(vendor.name, status, message)


@pytest.mark.parametrize("vendor", SHAPES.values(), ids=SHAPES)
def test_a_status_does_not_say_when_to_come_back(mock: MockServer, vendor: Vendor) -> None:
    saying, silent = (
        play(mock.url, vendor, directive(vendor, spec)) for spec in ("status:429", "no-retry-after,status:429")
    )
    assert steady_head(silent) == [line for line in steady_head(saying) if line != "Retry-After: 1"]
    assert (len(silent.head), silent.rest) == (len(saying.head) - 1, saying.rest)


@pytest.mark.parametrize("vendor", shown("strict-accept"), ids=lambda vendor: vendor.name)
def test_only_its_own_media_type_is_accepted(mock: MockServer, vendor: Vendor) -> None:
    spec = "strict-accept"
    right = play(mock.url, vendor, directive(vendor, spec), "Accept: application/json, Text/Event-Stream;q=0.5")
    assert right.chunks == clean_of(mock.url, vendor).wire
    for accept in ((), ("Accept: */*",), ("Accept: application/json",)):
        wrong = play(mock.url, vendor, directive(vendor, spec), *accept)
        assert (wrong.status, wrong.chunks) == (406, [])
        assert b"expected text/event-stream in Accept" in wrong.rest


@pytest.mark.parametrize("vendor", SHAPES.values(), ids=SHAPES)
def test_a_page_instead_of_a_stream(mock: MockServer, vendor: Vendor) -> None:
    answer = play(mock.url, vendor, directive(vendor, "html-200"))
    check_answer(answer, 200, ["Content-Type: text/html; charset=utf-8"])
    assert answer.rest == HTML
