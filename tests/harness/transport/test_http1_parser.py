"""Response bytes to head, pieces and end, however they are cut."""

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.transport.limits import FREE_PIECES, MAX_ASIDE_BYTES, MAX_HEAD_BYTES
from streamgauge.wire import Capture, End, Framing
from tests.builders.tapes import chunk, cut, head, play

CHUNKED = head("Transfer-Encoding: chunked") + chunk(b"abc") + chunk(b"de") + b"0\r\n\r\n"
LENGTH = head("Content-Length: 5") + b"abcde"


def body(capture: Capture) -> bytes:
    return b"".join(data for _, data in capture.body)


def parse(wire: bytes, *, method: str = "GET", eof: bool = True) -> Capture:
    """The wire whole and byte by byte, which must not differ in anything but the pieces."""
    whole = play([(0, wire)], End.CLOSED if eof else None, method=method)
    single = play([(0, bytes([byte])) for byte in wire], End.CLOSED if eof else None, method=method)
    for name in ("head", "framing", "end", "chunks"):
        assert getattr(single, name) == getattr(whole, name), name
    assert body(single) == body(whole)
    return whole


@pytest.mark.parametrize(
    ("wire", "framing", "end"),
    [
        (CHUNKED, Framing.CHUNKED, End.COMPLETE),
        (LENGTH, Framing.LENGTH, End.COMPLETE),
        (head() + b"abcde", Framing.CLOSE, End.COMPLETE),
        (head("Connection: keep-alive") + b"abcde", Framing.CLOSE, End.COMPLETE),
        (head("Transfer-Encoding: Chunked") + chunk(b"abcde") + b"0\r\nX: y\r\n\r\n", Framing.CHUNKED, End.COMPLETE),
        (head("Transfer-Encoding: chunked") + b"5;ext=1\r\nabcde\r\n0\r\n\r\n", Framing.CHUNKED, End.COMPLETE),
        (CHUNKED[:-2], Framing.CHUNKED, End.CLOSED),
        (CHUNKED[:-5], Framing.CHUNKED, End.CLOSED),
        (head("Content-Length: 9") + b"abcde", Framing.LENGTH, End.CLOSED),
    ],
)
def test_the_end_of_the_body_is_known_by_its_framing(wire: bytes, framing: Framing, end: End) -> None:
    capture = parse(wire)
    assert (capture.framing, capture.end, body(capture)) == (framing, end, b"abcde")


def test_http_chunks_are_counted_and_their_pieces_name_their_read() -> None:
    capture = play(
        [(0, head("Transfer-Encoding: chunked") + chunk(b"a") + chunk(b"b")), (1, chunk(b"c") + b"0\r\n\r\n")]
    )
    assert capture.body == [(0, b"a"), (0, b"b"), (1, b"c")]
    assert capture.chunks == 4


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nX: ", "after 20 bytes of a head"),
        (CHUNKED[:-5], "before the final chunk"),
        (head("Content-Length: 9") + b"abcde", "after 5 of 9 body bytes"),
        (head(status="100 Continue"), "after 25 bytes of a head"),
    ],
)
def test_a_close_before_the_end_says_where_it_came(wire: bytes, said: str) -> None:
    capture = parse(wire)
    assert capture.end is End.CLOSED
    assert said in (capture.detail or "")


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>",
        b"\x16\x03\x01\x00",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        head("Content-Length: 5", "Transfer-Encoding: chunked") + chunk(b"abcde") + b"0\r\n\r\n",
        head("Transfer-Encoding: chunked", "Content-Length: 5") + b"abcde",
        head("Content-Length: 2", "Content-Length: 3") + b"ab",
        head("Content-Length: -1"),
        head("X: a", " folded"),
        head("No colon here"),
        head("X: a\0b"),
        head("Transfer-Encoding: chunked") + b"xyz\r\n",
        head("Transfer-Encoding: chunked") + b"3\r\nabcX\r\n",
    ],
)
def test_what_is_no_valid_http_is_malformed_and_says_within_how_many_bytes(wire: bytes) -> None:
    capture = parse(wire)
    assert capture.end is End.MALFORMED
    assert "not valid HTTP/1.1" in (capture.detail or "")


def test_a_refused_head_is_named_behind_an_informational_one() -> None:
    capture = parse(head(status="100 Continue") + head("Content-Length: 5", "Transfer-Encoding: chunked") + b"abcde")

    assert capture.fault is not None
    assert capture.fault.what == "Content-Length comes beside Transfer-Encoding"


def test_informational_answers_are_skipped() -> None:
    early = head("Link: </a>", status="103 Early Hints") + head(status="100 Continue")
    capture = parse(early + LENGTH)
    assert capture.head is not None
    assert (capture.head.status, capture.head.headers) == (200, (("Content-Length", "5"),))
    assert (capture.end, body(capture)) == (End.COMPLETE, b"abcde")


@pytest.mark.parametrize("upgrade", [(), ("Connection: upgrade", "Upgrade: websocket")])
def test_switching_protocols_ends_the_answer_and_the_connection(upgrade: tuple[str, ...]) -> None:
    capture = Capture(0, sent_ns=0)
    parser = ResponseParser(ExchangeState(capture))
    parser.feed(head(*upgrade, status="101 Switching Protocols") + b"\x81\x05hello", 0)
    parser.eof()
    assert capture.head is not None
    assert (capture.head.status, body(capture), parser.keep_alive) == (101, b"", False)
    assert capture.end is End.COMPLETE


@pytest.mark.parametrize("wire", [head("Content-Length: 5"), head("Transfer-Encoding: chunked"), head()])
def test_an_answer_to_head_has_no_body_and_does_not_wait_for_one(wire: bytes) -> None:
    capture = parse(wire, method="HEAD", eof=False)
    assert (capture.framing, capture.end) == (Framing.NONE, End.COMPLETE)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_does_not_wait_for_one(status: str) -> None:
    assert parse(head(status=status), eof=False).end is End.COMPLETE


@pytest.mark.parametrize(
    ("version", "connection", "framed", "kept"),
    [
        ("1.1", None, True, True),
        ("1.1", "close", True, False),
        ("1.1", "Close", True, False),
        ("1.0", None, True, False),
        ("1.0", "Keep-Alive", True, True),
        ("1.1", None, False, False),
    ],
)
def test_a_connection_is_kept_as_version_and_headers_say(
    version: str, connection: str | None, framed: bool, kept: bool
) -> None:
    lines = ([f"Connection: {connection}"] if connection else []) + (["Content-Length: 1"] if framed else [])
    parser = ResponseParser(ExchangeState(Capture(0, sent_ns=0)))
    parser.feed(head(*lines).replace(b"HTTP/1.1", f"HTTP/{version}".encode()) + b"x", 0)
    parser.eof()
    assert parser.keep_alive is kept


@pytest.mark.parametrize("more", [b"XYZ", LENGTH, b"\r\n\r\nX"])
def test_bytes_after_the_end_are_kept_as_evidence_and_spoil_the_connection(more: bytes) -> None:
    capture = Capture(0, sent_ns=0)
    parser = ResponseParser(ExchangeState(capture))
    parser.feed(LENGTH + more, 0)
    assert (capture.end, body(capture)) == (End.COMPLETE, b"abcde")
    assert capture.trailing.endswith(more[-3:])
    assert not parser.keep_alive


def test_headers_keep_case_order_and_repetition() -> None:
    capture = parse(
        head("x-B: 1", "X-a:  2 ", "x-b: 3", "Latin: \xe9", "Empty:", "Content-Length: 0", status="200 All Good")
    )
    assert capture.head is not None
    assert capture.head.headers == (
        ("x-B", "1"), ("X-a", "2"), ("x-b", "3"), ("Latin", "\xe9"), ("Empty", ""), ("Content-Length", "0"),
    )  # fmt: skip
    assert (capture.head.reason, capture.head.http_version) == ("All Good", "1.1")


def test_trailers_are_not_taken_for_headers_of_the_answer() -> None:
    capture = parse(head("Transfer-Encoding: chunked") + b"0\r\nX-Trailer: 1\r\n\r\n")
    assert capture.head is not None
    assert capture.head.get("x-trailer") is None
    assert capture.end is End.COMPLETE


def test_an_endless_head_is_too_large_and_bounded() -> None:
    capture = Capture(0, sent_ns=0)
    parser = ResponseParser(ExchangeState(capture))
    parser.feed(b"HTTP/1.1 200 OK\r\n", 0)
    fed = 0
    while not parser.done:
        parser.feed(b"X: " + b"y" * 1000 + b"\r\n", 1)
        fed += 1005
        assert fed < 2 * MAX_HEAD_BYTES
    assert capture.end is End.TOO_LARGE


@pytest.mark.parametrize("size", [1_460, 64 * 1024, 1024 * 1024])
@pytest.mark.parametrize("before", [b"", head(status="103 Early Hints")])
def test_a_head_that_is_too_large_is_so_in_reads_of_any_size(size: int, before: bytes) -> None:
    def answer(head_bytes: int) -> bytes:
        empty = head("X: ", "Content-Length: 2")
        return before + head("X: " + "y" * (head_bytes - len(before) - len(empty)), "Content-Length: 2") + b"ab"

    for more, end in ((0, End.COMPLETE), (1, End.TOO_LARGE)):
        wire = answer(MAX_HEAD_BYTES + more)
        capture = play([(0, wire[at : at + size]) for at in range(0, len(wire), size)])
        assert (capture.end, capture.head is None) == (end, end is End.TOO_LARGE)


def test_endless_informational_answers_are_too_large() -> None:
    parser = ResponseParser(ExchangeState(Capture(0, sent_ns=0)))
    fed = 0
    while not parser.done:
        parser.feed(head(status="102 Processing") * 100, 0)
        fed += 1
        assert fed < 1000
    assert parser.capture.end is End.TOO_LARGE


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.lists(st.integers(0, 300), max_size=10),
    st.sampled_from(["chunked", "length", "close"]),
)
def test_any_cut_gives_the_same_answer(parts: list[bytes], points: list[int], framing: str) -> None:
    content = b"".join(parts)
    if framing == "chunked":
        wire = head("Transfer-Encoding: chunked") + b"".join(map(chunk, parts)) + b"0\r\n\r\n"
    elif framing == "length":
        wire = head(f"Content-Length: {len(content)}") + content
    else:
        wire = head() + content
    capture = play([(n, piece) for n, piece in enumerate(cut(wire, points))])

    assert (capture.end, body(capture)) == (End.COMPLETE, content)
    assert [read for read, _ in capture.body] == sorted(read for read, _ in capture.body)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_no_bytes_break_it_and_every_capture_ends(noise: bytes, points: list[int], after_head: bool) -> None:
    wire = (head("Transfer-Encoding: chunked") if after_head else b"") + noise
    assert play([(n, piece) for n, piece in enumerate(cut(wire, points))] or [(0, b"")]).end is not None


PIECES = st.lists(
    st.sampled_from(
        [
            chunk(b"data: x\n\n"),
            chunk(b"a"),
            chunk(b"\r\n"),
            chunk(b"x\r\ny"),
            b"0\r\n\r\n",
            b"5\r\nab",
            b"cde\r\n",
            b"1\r\n",
            b"0x1\r\na\r\n",
            b"1_0\r\n" + b"a" * 16 + b"\r\n",
            b"+1\r\na\r\n",
            b"1;e=1\r\na\r\n",
            b"01\r\na\r\n",
            b"A\r\n0123456789\r\n",
            b"\r\n",
            b"2\r\na\r\n",
            b"zz\r\n",
            chunk(b"a") + chunk(b"b"),
            b"1 \r\na\r\n",
            b"\r\na\r\n",
        ]
    ),
    min_size=1,
    max_size=8,
)


@given(PIECES, PIECES)
def test_whole_chunks_taken_together_are_what_they_are_one_by_one(first: list[bytes], then: list[bytes]) -> None:
    single, together = Capture(0, sent_ns=0), Capture(0, sent_ns=0)
    one, many = ResponseParser(ExchangeState(single)), ResponseParser(ExchangeState(together))
    opening = head("Transfer-Encoding: chunked")
    for parser in (one, many):
        for number, piece in enumerate([opening, *first]):
            if not parser.done:
                parser.feed(piece, number)
    begin = 1 + len(first)
    if not many.done and many.feed_plain(then, begin):
        for number, piece in enumerate(then, begin):
            one.feed(piece, number)
    assert (together.body, together.chunks, together.end) == (single.body, single.chunks, single.end)
    # What follows is understood in the same way.
    for parser in (one, many):
        if not parser.done:
            parser.feed(chunk(b"z") + b"0\r\n\r\n", 99)
    assert (together.body, together.end, together.detail) == (single.body, single.end, single.detail)


def test_nearly_every_read_of_a_stream_is_taken_together() -> None:
    capture = Capture(0, sent_ns=0)
    parser = ResponseParser(ExchangeState(capture))
    parser.feed(head("Transfer-Encoding: chunked"), 0)
    assert parser.feed_plain([chunk(b"data: a\n\n"), chunk(b"data: b\n\n")], 1)
    assert capture.body == [(1, b"data: a\n\n"), (2, b"data: b\n\n")]
    assert not parser.feed_plain([b"0\r\n\r\n"], 3)


@pytest.mark.parametrize("last", [b"0\r\n\r\n", b"0\r\n\r", b"\n", b"0\r\nX: y\r\n\r\n"])
def test_a_read_that_may_end_a_chunked_body_is_not_plain_and_nothing_is_before_the_head(last: bytes) -> None:
    parser = ResponseParser(ExchangeState(Capture(0, sent_ns=0)))
    assert not parser.plain(chunk(b"data: a\n"))
    parser.feed(head("Transfer-Encoding: chunked"), 0)
    assert parser.plain(chunk(b"data: a\n"))
    assert parser.plain(last) is (last == b"0\r\n\r")  # the last byte then comes in a read too short to be plain
    sized = ResponseParser(ExchangeState(Capture(0, sent_ns=0)))
    sized.feed(head("Content-Length: 100"), 0)
    assert not sized.plain(chunk(b"data: a\n"))


def test_a_parser_that_is_released_keeps_nothing() -> None:
    parser = ResponseParser(ExchangeState(Capture(0, sent_ns=0)))
    parser.feed(LENGTH, 0)
    kept = weakref.ref(parser)
    gc.disable()
    try:
        parser.release()
        del parser
        assert kept() is None
    finally:
        gc.enable()


CHUNKED_HEAD = head("Transfer-Encoding: chunked")


def begun() -> ResponseParser:
    state = ExchangeState(Capture(0))
    state.sent(0)
    return ResponseParser(state)


def test_a_trailer_that_never_ends_is_too_large() -> None:
    """httptools copies a trailer again for each piece: 8 MB of one took 11 s of CPU."""
    parser = begun()
    parser.feed(CHUNKED_HEAD + b"1\r\na\r\n0\r\nA: ", 0)

    fed = 0
    while not parser.done:
        parser.feed(b"b" * 1_460, 1)
        fed += 1_460

    assert (parser.capture.end, fed <= MAX_ASIDE_BYTES + 1_460) == (End.TOO_LARGE, True)


def test_sizes_of_chunks_that_come_alone_do_not_count_against_a_stream_of_tokens() -> None:
    parser = begun()
    parser.feed(CHUNKED_HEAD, 0)

    for _ in range(max(MAX_ASIDE_BYTES // 4, FREE_PIECES + FREE_PIECES // 10)):
        parser.feed(b"1\r\n", 0)
        parser.feed(b"a\r\n", 0)
        if parser.done:
            break

    assert "pieces of 1 bytes on average" in (parser.capture.detail or "")


def test_an_event_in_three_small_chunks_may_come_as_often_as_the_longest_answer_has_tokens() -> None:
    parser = begun()
    parser.feed(CHUNKED_HEAD, 0)

    for _ in range(128):
        parser.feed(b"6\r\ndata: \r\n1\r\na\r\n2\r\n\n\n\r\n" * 1_000, 0)
    parser.feed(b"0\r\n\r\n", 0)

    assert (parser.capture.end, parser.capture.detail) == (End.COMPLETE, None)
    assert len(parser.capture.body) == 3 * 128_000


def test_a_body_in_pieces_of_one_byte_is_too_large_long_before_its_bytes_are() -> None:
    parser = begun()
    parser.feed(CHUNKED_HEAD, 0)

    fed = 0
    while not parser.done:
        parser.feed(b"1\r\na\r\n" * 1_000, 0)
        fed += 1_000

    assert (parser.capture.end, fed < 2 * FREE_PIECES) == (End.TOO_LARGE, True)
