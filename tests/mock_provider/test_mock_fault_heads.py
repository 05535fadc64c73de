"""Faults of the response head, and whole answers in place of a stream."""

import gzip
import json
import zlib

import pytest

from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults.errors import LINES
from streamgauge.mock_provider.faults.http import HTML
from tests.mock_provider.fault_wire import clean_and_faulty, play, raw_and_writes, steady_chunks, steady_head
from tests.mock_provider.mock_wire import exchange, request_bytes, steady
from tests.mock_provider.wire_cases import HEADS


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


def test_chunks_with_extensions_are_the_same_chunks(mock: MockServer) -> None:
    clean, faulty = clean_and_faulty(mock, "event-json", "chunk-extensions")
    assert faulty.rest.count(b";note=1\r\n") == len(clean.chunks) + 1  # the last chunk has one, too
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in clean.chunks)
    assert faulty.rest.replace(b";note=1\r\n", b"\r\n") == framed + b"0\r\n\r\n"


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
