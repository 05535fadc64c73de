"""Tapes: a stream as its raw wire, read by read, played into a Capture without a socket."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, End, Read

START_NS = 1_000_000_000_000_000_000
MS = 1_000_000

Tape = Iterable[tuple[int, bytes]]

SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
_POINTS = re.compile(rb"[\r\n]")


def head(*lines: str, status: str = "200 OK") -> bytes:
    """A response head with these header lines."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def play(tape: Tape, then: End | None = End.CLOSED, *, method: str = "POST", lag_ns: int = 0) -> Capture:
    """Read the tape: `(ns since the start, bytes)` a read. `then` CLOSED is the peer's FIN, None nothing at all."""
    capture = Capture(START_NS, method=method, url="http://test/", sent_ns=START_NS)
    parser = ResponseParser(ExchangeState(capture))
    at_ns = 0
    for at_ns, data in tape:
        capture.reads.append(Read(START_NS + at_ns, START_NS + at_ns + lag_ns, len(data)))
        parser.feed(data, len(capture.reads) - 1)
    capture.end_ns = START_NS + at_ns
    if then is End.CLOSED:
        parser.eof()
    elif then is not None and not parser.done:
        capture.end, capture.detail = then, f"ended by the test: {then.value}"
    return capture


def read(tape: Tape, then: End | None = End.CLOSED, dialect: Dialect | None = None) -> Transcript:
    """The transcript of a tape, with its lines and body."""
    return interpret(play(tape, then), dialect, keep=True)


def stream(
    *events: bytes,
    then: End | None = End.CLOSED,
    dialect: Dialect | None = None,
    media: str = "text/event-stream",
) -> Transcript:
    """The transcript of a stream, one event a read, 10 ms apart, after its head at 0."""
    first = head(f"Content-Type: {media}")
    return read([(0, first), *((10 * MS * (n + 1), event) for n, event in enumerate(events))], then, dialect)


def chunkings(data: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The chunking matrix: whole, 1 byte, 2 bytes, around each CR and LF, inside each multibyte character."""
    yield "whole", [data]
    yield "1 byte", cut(data, range(1, len(data)))
    yield "2 bytes", cut(data, range(2, len(data), 2))
    for match in _POINTS.finditer(data):
        yield f"before the line end at {match.start()}", cut(data, [match.start()])
        yield f"after the line end at {match.start()}", cut(data, [match.end()])
    for at, byte in enumerate(data):
        if 0x80 <= byte < 0xC0:
            yield f"inside the character at {at}", cut(data, [at])


def cut(data: bytes, points: Iterable[int]) -> list[bytes]:
    """`data` cut at these offsets; empty pieces are kept out."""
    bounds = [0, *sorted(point for point in points if 0 < point < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(bounds) if a < b]
