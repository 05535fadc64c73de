"""What is shown of a raw response has no secret that its framing tears apart."""

from collections.abc import Sequence

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.protocol.wire_secrets import secrets_in_wire
from streamgauge.secrets import forget, hidden_piece, learn
from streamgauge.wire import Capture, Framing, Head
from tests.builders.tapes import START_NS, chunk, head, play

KEY = "sk-abcdef0123456789"
CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
CUTS = st.lists(st.integers(1, len(KEY) - 1), min_size=2, unique=True).map(sorted)


def test_a_secret_in_pieces_of_chunks_is_masked_in_each() -> None:
    pieces = ["Hi sk-", "abc", "def0", "1", "2345", "6789 no"]

    masked = _masked(_chunked(CHUNKED, *(chunk(piece.encode()) for piece in pieces)))

    assert (
        masked == CHUNKED + b"6\r\nHi ***\r\n3\r\n***\r\n4\r\n***\r\n1\r\n***\r\n4\r\n***\r\n7\r\n*** no\r\n0\r\n\r\n"
    )


@settings(max_examples=50)
@given(chunks=CUTS, frames=CUTS, padding=st.integers(0, 5))
def test_no_piece_of_a_secret_is_shown_wherever_it_is_cut(chunks: list[int], frames: list[int], padding: int) -> None:
    """Cut into chunks of HTTP/1, and into DATA frames of HTTP/2."""
    first = [chunk(piece.encode()) for piece in _cut(chunks)]
    second = [_data(piece.encode(), padding) for piece in _cut(frames)]

    body = _masked(_chunked(CHUNKED, *first)).removeprefix(CHUNKED)
    assert body.split(b"\r\n")[1:-3:2] == [b"***"] * len(first)
    assert _letters(_masked(_framed(*second))) == b"***" * len(second)


def test_a_secret_in_pieces_of_events_is_masked_across_chunks_and_frames() -> None:
    events = b"".join(b'data: {"text":"%s"}\n\n' % piece for piece in (b"sk-a", b"bcdef0", b"12345", b"6789"))
    masked = b'data: {"text":"***"}\n\n' * 4
    middle = events.index(b"ef0")

    one = _masked(_chunked(CHUNKED, chunk(events[:middle]), chunk(events[middle:])))
    two = _masked(_framed(_data(events[:middle]), _data(events[middle:])))

    assert one.count(b"***") == two.count(b"***") == 5
    for piece in (b"bcd", b"ef0", b"123", b"678"):
        assert piece not in one + two
    assert masked[:20] in one
    assert masked[:20] in two


def test_a_folded_header_is_masked_in_each_line() -> None:
    masked = _masked(_chunked(head("X-A: sk-abc", " def012", "\t3456789", "Content-Length: 0")))

    assert b"X-A: ***\r\n ***\r\n\t***\r\nContent-Length: 0" in masked


@pytest.mark.parametrize("trailers", [False, True])
def test_a_header_block_is_masked_whose_huffman_codes_spell_a_secret(trailers: bool) -> None:
    clean, dirty = _headers([(":status", "200")]), _headers([("x-echo", KEY)])
    blocks = [clean, dirty] if trailers else [dirty]

    masked = _masked(_framed(*blocks, headers=() if trailers else (("x-echo", KEY),)))

    assert dirty[9:] not in masked
    assert masked.count(b"***") == 1
    if trailers:
        assert clean in masked


def test_a_wire_that_begins_in_a_frame_is_masked_by_the_pieces_of_its_body() -> None:
    capture = _framed(b"\0\0\0", _data(b"sk-abc"), _data(b"def0123"), _data(b"456789"))
    capture.body = [(1, b"sk-abc"), (2, b"def0123"), (3, b"456789")]

    assert _letters(_masked(capture)) == b"***" * 3


def _cut(places: Sequence[int]) -> list[str]:
    ends = [*places, len(KEY)]
    return [KEY[start:end] for start, end in zip([0, *places], ends, strict=True)]


def _chunked(*reads: bytes) -> Capture:
    capture = play([(at, data) for at, data in enumerate([*reads, b"0\r\n\r\n"])])
    capture.wire = [*reads, b"0\r\n\r\n"]
    return capture


def _data(data: bytes, padding: int = 0) -> bytes:
    payload = bytes([padding]) + data + b"\0" * padding if padding else data
    return len(payload).to_bytes(3) + bytes([0, 0x8 if padding else 0]) + b"\0\0\0\x01" + payload


def _headers(headers: list[tuple[str, str]]) -> bytes:
    block = hpack.Encoder().encode(headers)
    return len(block).to_bytes(3) + b"\x01\x04" + b"\0\0\0\x01" + block


def _framed(*frames: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Capture:
    capture = Capture(START_NS, wire=list(frames), framing=Framing.STREAM)
    capture.head = Head(200, "", "HTTP/2", headers)
    return capture


def _letters(wire: bytes) -> bytes:
    """The wire without frame heads and padding."""
    return bytes(byte for byte in wire if byte > 0x20)


def _masked(capture: Capture) -> bytes:
    forget()
    learn([KEY])
    wire = b"".join(capture.wire or [])
    return hidden_piece(wire, 0, len(wire), secrets_in_wire(capture, len(wire)))
