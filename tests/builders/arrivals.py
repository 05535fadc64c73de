"""Packed reads from a tape of bytes, and what the ordinary path makes of the same reads."""

from collections.abc import Iterable
from itertools import accumulate

from hypothesis import strategies as st

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Arrivals, Capture, PlainResponse
from tests.builders.tapes import MS, START_NS, cut


def packed(pieces: list[bytes], *, lag_ns: int = 3, unstamped: Iterable[int] = ()) -> Arrivals:
    """The reads of these pieces, 20 ms apart."""
    t_ns = [START_NS + 20 * MS * n for n in range(len(pieces))]
    without = sorted({index for index in unstamped if index < len(pieces)})
    user_ns = [at if n in without else at + lag_ns for n, at in enumerate(t_ns)]
    return Arrivals(b"".join(pieces), t_ns, user_ns, list(map(len, pieces)), without)


def parsed(arrivals: Arrivals, capture: Capture) -> ResponseParser:
    """The ordinary parser after these reads and the peer's FIN; it has filled `capture`."""
    capture.reads = arrivals.reads()
    parser = ResponseParser(ExchangeState(capture))
    for number, piece in enumerate(arrivals.pieces()):
        parser.feed(piece, number)
    capture.end_ns = arrivals.t_ns[-1] if arrivals.t_ns else None
    parser.eof()
    return parser


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes, with a few of them changed, left out or put in."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        new = draw(
            st.sampled_from([b"", b"\n", b"\r\n", b"\r", b'"', b"\\", b" ", b"\x00", b"\xff", b"0", b"{", b"},{"])
        )
        data = data[:at] + new + data[at + draw(st.integers(0, 2)) :]
    return data


@st.composite
def in_reads(draw: st.DrawFn, writes: list[bytes]) -> list[bytes]:
    """These writes as reads: each alone, all in one, merged and cut at random, or byte by byte."""
    data = b"".join(writes)
    ends = list(accumulate(map(len, writes)))
    way = draw(st.sampled_from(["each", "each", "merged", "cut", "one", "bytes"]))
    if way == "each":
        return [piece for piece in writes if piece]
    if way == "one":
        return [data] if data else []
    if way == "bytes":
        return [data[at : at + 1] for at in range(len(data))]
    points = draw(st.sets(st.sampled_from(ends), max_size=len(ends)))
    if way == "cut":
        points |= draw(st.sets(st.integers(0, len(data)), max_size=8))
    return cut(data, points)


def taken(capture: Capture, response: PlainResponse, arrivals: Arrivals) -> Capture:
    """The capture when a fast path has taken this response from these reads, as Exchange does."""
    state = ExchangeState(capture)
    state.whole(response.head, response.head_read)
    state.ended_at(arrivals.t_ns[-1])
    return capture
