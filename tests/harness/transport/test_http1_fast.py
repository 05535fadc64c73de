"""A whole response read at once is what the parser makes of it read by read."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.protocol.reader_fast import by_read
from streamgauge.transport.chunks_fast import cut_in_python
from streamgauge.transport.http1_fast import MOST_BYTES, plain_response
from streamgauge.transport.native import CUT, Cut
from streamgauge.wire import Arrivals, Capture, End, Framing
from tests.builders.arrivals import damaged, in_reads, packed, parsed
from tests.builders.mock_streams import writes
from tests.builders.tapes import chunk, head

CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"

HEADS = [
    CHUNKED,
    CHUNKED.lower(),
    head("Transfer-Encoding: chunked"),
    head("transfer-encoding:chunked", "Connection: close"),
    head("Transfer-Encoding: \tCHUNKED\t", "connection: Keep-Alive"),
    head("Transfer-Encoding:  chunked ", "X:  y z "),
    head("Transfer-Encoding: gzip, chunked"),
    head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    head("Transfer-Encoding: chunked", "Content-Length: 3"),
    head("Content-Length: 3", "Transfer-Encoding: chunked"),
    head("Transfer-Encoding: identity"),
    head("Transfer-Encoding: chunked", "Connection: upgrade", "Upgrade: websocket"),
    head("Transfer-Encoding: chunked", "Connection: close, upgrade"),
    head("Transfer-Encoding: chunked", "X: a", " folded"),
    head("Transfer-Encoding: chunked", "X : a"),
    head("Transfer-Encoding: chunked", "X:", "Y: \t", "x: 1"),
    head("Transfer-Encoding: chunked", "Latin: \xe9"),
    head("Transfer-Encoding: chunked", "Trailer: X"),
    head("Transfer-Encoding: chunked", status="204 No Content"),
    head("Transfer-Encoding: chunked", status="200 Fine"),
    head("Transfer-Encoding: chunked", status="500 Oops"),
    head(status="100 Continue") + CHUNKED,
    CHUNKED.replace(b"1.1", b"1.0"),
    CHUNKED.replace(b"\r\n", b"\n"),
    head("X: y"),
    head("X: y", "Transfer-Encoding: chunked", "X-y_2.z: (1)"),
]
ODD_CHUNKS = [
    chunk(b"data: x\n\n"),
    chunk(b"x" * 300),
    chunk(b"\r\n"),
    chunk(b"x\r\ny"),
    chunk(b"\n"),
    b"A\r\n0123456789\r\n",
    b"01\r\na\r\n",
    b"00000000000000000001\r\na\r\n",
    b"+1\r\na\r\n",
    b"0x1\r\na\r\n",
    b"1_0\r\n" + b"a" * 16 + b"\r\n",
    b"1;e=1\r\na\r\n",
    b"1 \r\na\r\n",
    b" 1\r\na\r\n",
    b"2\r\na\r\n",
    b"\r\n",
    b"zz\r\n",
    LAST,
]
CHUNKS = st.lists(st.binary(min_size=1, max_size=4).map(chunk) | st.sampled_from(ODD_CHUNKS), max_size=8)
ENDS = st.sampled_from(
    [LAST, LAST, LAST, b"", b"0\r\n\r", b"00\r\n\r\n", b"0\r\nX: y\r\n\r\n", LAST + b"x", LAST + LAST]
)


def law(arrivals: Arrivals) -> bool:
    """Compare the parser with the fast path, in Python and in C; whether both took the response."""
    taken = [follows_law(arrivals, cut) for cut in (cut_in_python, CUT or cut_in_python)]
    # A chunk with a line end in it is more than the way in Python can cut.
    assert taken[0] <= taken[1]
    return taken[0]


def follows_law(arrivals: Arrivals, cut: Cut) -> bool:
    fast = plain_response(arrivals, cut)
    if fast is None:
        return False
    capture = Capture(0, sent_ns=0)
    parser = parsed(arrivals, capture)
    assert capture.end is End.COMPLETE
    assert capture.framing is Framing.CHUNKED
    assert (capture.trailing, capture.detail) == (b"", None)
    assert fast.head == capture.head
    assert fast.head_read == capture.head_read
    assert len(fast.pieces) + 1 == capture.chunks
    assert fast.keep_alive == parser.keep_alive
    assert b"".join(fast.pieces) == b"".join(data for _, data in capture.body)
    assert fast.ends == list(accumulate(map(len, fast.pieces)))
    sizes = dict.fromkeys(range(len(arrivals.sizes)), 0) | {read: len(data) for read, data in by_read(capture.body)}
    assert fast.arrived == list(accumulate(sizes.values()))
    return True


# The general test below mixes all heads and chunks in its examples, so a quarter of them is enough for each alone.
FEW = settings(max_examples=settings().max_examples // 4)


@pytest.mark.parametrize("opening", HEADS)
@FEW
@given(data=st.data())
def test_a_head_is_what_the_parser_makes_of_it(data: st.DataObject, opening: bytes) -> None:
    law(packed(data.draw(in_reads([opening, chunk(b"abc"), LAST]))))


@pytest.mark.parametrize("odd", ODD_CHUNKS)
@FEW
@given(data=st.data())
def test_a_chunk_is_what_the_parser_makes_of_it(data: st.DataObject, odd: bytes) -> None:
    law(packed(data.draw(in_reads([CHUNKED, chunk(b"abc"), odd, chunk(b"d"), LAST]))))


@given(st.data(), st.sampled_from(HEADS), CHUNKS, ENDS)
def test_a_plain_response_is_what_the_parser_makes_of_it(
    data: st.DataObject, opening: bytes, chunks: list[bytes], end: bytes
) -> None:
    law(packed(data.draw(in_reads([opening, *chunks, end]))))


@given(st.data(), st.sampled_from(HEADS), CHUNKS)
def test_neither_is_one_with_damage(data: st.DataObject, opening: bytes, chunks: list[bytes]) -> None:
    wire = data.draw(damaged(b"".join([opening, *chunks, LAST])))
    law(packed(data.draw(in_reads([wire]))))


@given(st.data(), st.lists(st.binary(min_size=1, max_size=40).filter(lambda data: b"\r\n" not in data), min_size=1))
def test_the_fast_path_takes_every_clean_response(data: st.DataObject, bodies: list[bytes]) -> None:
    pieces = data.draw(in_reads([CHUNKED, *map(chunk, bodies), LAST]))
    assert law(packed(pieces))


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic", "json-string", "ollama"])
def test_the_fast_path_takes_the_mock_s_responses(dialect: str) -> None:
    assert law(packed(writes(dialect, "tokens=20")))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        LAST,
        CHUNKED + LAST,
        CHUNKED + chunk(b"a") + LAST[:-1],
        CHUNKED + chunk(b"a") + LAST + b"x",
        CHUNKED + chunk(b"a" * MOST_BYTES) + LAST,
        head("Content-Length: 5") + b"abcde",
    ],
)
def test_any_other_response_is_left_to_the_parser(wire: bytes) -> None:
    assert plain_response(packed([wire] if wire else [])) is None
