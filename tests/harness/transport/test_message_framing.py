"""What a head says wrongly about the end of its body, named from real bytes."""

import pytest

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, End, Read

CHUNKED = "Transfer-Encoding: chunked"
BODY = b"5\r\nhello\r\n0\r\n\r\n"

# The header lines, the fault, and whether the body can be read all the same.
FAULTS = [
    ([CHUNKED, CHUNKED], "Transfer-Encoding says chunked twice, in two header lines", True),
    (["Transfer-Encoding: chunked, chunked"], "Transfer-Encoding says chunked twice, in one header line", True),
    (["Transfer-Encoding: identity", CHUNKED], "Transfer-Encoding says identity beside chunked", True),
    ([CHUNKED, "Transfer-Encoding: identity"], "Transfer-Encoding says identity beside chunked", False),
    (["Transfer-Encoding: chunked, gzip"], "chunked is not the last transfer coding: 'chunked, gzip'", False),
    (["Transfer-Encoding: gzip, chunked"], "the transfer coding is one that the client did not offer", False),
    (["Transfer-Encoding: xchunked"], "the transfer coding is one that the client did not offer: 'xchunked'", False),
    (["Transfer-Encoding:"], "Transfer-Encoding is empty", False),
    ([CHUNKED, "Content-Length: 5"], "Content-Length comes beside Transfer-Encoding", False),
    (["Content-Length: 5", CHUNKED], "Content-Length comes beside Transfer-Encoding", False),
    (["Content-Length: 5", "Content-Length: 6"], "Content-Length comes 2 times, with different values: '5; 6'", False),
    (["Content-Length: 5", "Content-Length: 5"], "Content-Length comes 2 times, with the same value: '5; 5'", False),
    (["Content-Length: five"], "Content-Length is not a number: 'five'", False),
    (["X-Note: one", " two", CHUNKED], "a header is folded over two lines (RFC 9112 section 5.2): ' two'", False),
    (["Transfer-Encoding:", " chunked"], "a header is folded over two lines", False),
    ([" X-Note: one", CHUNKED], "the first header line begins with white space", False),
    (["X-Note : one", CHUNKED], "white space stands before the colon of a header", False),
    (["X-Note: one\nX-Other: two", CHUNKED], "a line of the head ends with LF without CR: 'X-Note: one'", False),
    (["no colon", CHUNKED], "a line of the head has no colon: 'no colon'", False),
    (["X Note: one", CHUNKED], "the name of a header is not a token: 'X Note'", False),
    (["X-Note: a\0b", CHUNKED], "the value of X-Note contains a control character", False),
]


def parse(lines: list[str], body: bytes, piece: int) -> Capture:
    """The capture of a response that arrives in pieces."""
    state = ExchangeState(Capture(0))
    state.begin("POST", "http://x/", 0)
    state.prepared(b"", 0, reused=False)
    state.sent(0)
    parser = ResponseParser(state)
    wire = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body
    for at in range(0, len(wire), piece):
        if parser.done:
            break
        data = wire[at : at + piece]
        parser.feed(data, state.read(data, Read(at, at, len(data))))
    if not parser.done:
        parser.eof()
    return state.capture


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize(("lines", "what", "readable"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_doubtful_head_is_named(lines: list[str], what: str, readable: bool, piece: int) -> None:
    """Also where llhttp refuses the head, and without a wait for an end that never comes."""
    capture = parse(lines, BODY, piece)

    assert capture.fault is not None
    assert capture.fault.what.startswith(what)
    assert capture.fault.readable is readable
    if readable:
        assert (capture.end, b"".join(data for _, data in capture.body)) == (End.COMPLETE, b"hello")
    else:
        assert (capture.end, capture.body) == (End.MALFORMED, [])
        assert capture.fault.what in (capture.detail or "")


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([CHUNKED], BODY),
        (["transfer-encoding:Chunked "], BODY),
        (["Content-Length: 5"], b"hello"),
        (["Connection: close"], b"hello"),
    ],
)
def test_an_ordinary_head_has_no_fault(lines: list[str], body: bytes) -> None:
    capture = parse(lines, body, 10_000)

    assert capture.fault is None
    assert (capture.end, b"".join(data for _, data in capture.body)) == (End.COMPLETE, b"hello")


def test_a_body_of_http_1_1_that_is_labelled_identity_ends_with_the_connection() -> None:
    capture = parse(["Transfer-Encoding: identity"], b"hello", 10_000)

    assert capture.fault is not None
    assert capture.fault.readable
    assert (capture.end, b"".join(data for _, data in capture.body)) == (End.COMPLETE, b"hello")


def test_what_is_not_http_has_no_framing_to_name() -> None:
    state = ExchangeState(Capture(0))
    state.begin("POST", "http://x/", 0)
    state.prepared(b"", 0, reused=False)
    state.sent(0)
    ResponseParser(state).feed(b"<html>\r\n no colon\r\n\r\n", state.read(b"", Read(0, 0, 0)))

    assert (state.capture.end, state.capture.fault) == (End.MALFORMED, None)
