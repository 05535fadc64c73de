"""What comes off the wire of HTTP/1.1: event streams, heads with bodies, content codings."""

import zlib
from typing import Final

from streamgauge.errors import LimitExceeded
from streamgauge.protocol.encoding import SUPPORTED, Brotli, Zlib, Zstd
from streamgauge.protocol.eventstream import MAX_RETRY_MS
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.wire import Capture, Framing, Read
from tests.builders import reference_eventstream as reference
from tests.builders.parsing import Parsed
from tests.fuzz.targets.bodies import WORDS, bodies
from tests.fuzz.targets.choices import Choices, Target, pieces

_MAX_INFLATED: Final = 64 * 1024
HEADS: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    b"HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n",
    b"",  # the input brings its own
)


def eventstream(data: bytes) -> None:
    """Lexer and interpreter give, in any pieces, the events that the reference gives."""
    choices = Choices(data, 1)
    parsed, expected = Parsed(pieces(choices.rest, choices.below(9))), reference.parse(choices.rest)
    assert [event[:3] for event in parsed.events] == expected.events
    assert parsed.joined() == choices.rest
    wanted = expected.reconnection_time
    assert parsed.retry_ms == (None if wanted is None else min(wanted, MAX_RETRY_MS))


def response(data: bytes) -> None:
    """The HTTP/1.1 parser gives the same for whole and for cut reads, and for chunks on the fast path."""
    choices = Choices(data, 3)
    wire = HEADS[choices.below(len(HEADS))] + choices.rest
    method = ("POST", "HEAD")[choices.below(2)]
    told = [_parsed([wire], method), _parsed(pieces(wire, 1 + choices.below(8)), method)]
    by_line = wire.split(b"\r\n")
    lines = [line + b"\r\n" for line in by_line[:-1]] + ([by_line[-1]] if by_line[-1] else [])
    told += [_parsed(lines, method), _parsed(lines, method, fast=True)]
    whole = _meaning(told[0])
    # What follows the end of an answer is an error of its own only where it comes in the same read.
    for other in told[1:]:
        assert _meaning(other) == whole, (_meaning(other), whole)


def _meaning(capture: Capture) -> tuple[object, ...]:
    # An answer without a body may bring one all the same, which the check of HEAD sees if it is in the same read.
    body = b"" if capture.framing is Framing.NONE else b"".join(data for _, data in capture.body)
    return (capture.head, capture.framing, body, capture.end)


def _parsed(parts: list[bytes], method: str, *, fast: bool = False) -> Capture:
    capture = Capture(1, method=method, url="http://x/", sent_ns=1)
    parser = ResponseParser(ExchangeState(capture))
    for number, part in enumerate(parts):
        if parser.done:
            break
        capture.reads.append(Read(2 + number, 2 + number, len(part)))
        if not (fast and parser.feed_plain([part], number)):
            parser.feed(part, number)
    parser.eof()
    assert capture.end is not None
    assert sum(len(data) for _, data in capture.body) <= sum(map(len, parts))
    return capture


def encodings(data: bytes) -> None:
    """Any content coding gives bytes within the limit, ValueError or LimitExceeded, in any pieces."""
    choices = Choices(data, 2)
    decoder = (Zlib, Brotli, Zstd)[choices.below(3)]
    way = choices.below(9)
    results = []
    for parts in ([choices.rest], pieces(choices.rest, way)):
        one, out, refused = decoder(_MAX_INFLATED), b"", False
        try:
            for part in parts:
                out += one.feed(part)
        except (ValueError, LimitExceeded):
            refused = True
        assert len(out) <= _MAX_INFLATED
        results.append((refused, out))
    (whole_refused, whole), (cut_refused, cut) = results
    assert whole_refused == cut_refused
    assert cut == whole if not whole_refused else cut.startswith(whole)


def _chunked() -> list[bytes]:
    chunked = [b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) for body in bodies()]
    return [b"\1\0\1" + body for body in chunked] + [b"\6\0\1" + head + bodies()[0] for head in HEADS]


def _packed() -> list[bytes]:
    packed = [zlib.compress(body) for body in bodies()[:40]]
    return [b"\0\0" + body for body in packed] + [bytes([n, 1]) + bodies()[0] for n in range(len(SUPPORTED))]


EVENTSTREAM: Final = Target(eventstream, lambda: [b"\0" + body for body in bodies()], WORDS)
RESPONSE: Final = Target(response, _chunked, WORDS)
ENCODINGS: Final = Target(encodings, _packed, WORDS)
