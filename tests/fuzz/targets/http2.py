"""HTTP/2: whatever a server sends, in whatever reads, the parser says the same of it; the fast path, too."""

from typing import Final

from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http2_parser import StreamParser
from streamgauge.transport.http2_session import Session
from streamgauge.wire import Capture, Read
from tests.fuzz.targets.choices import Choices, Target, pieces
from tests.harness.transport.http2_frames import (
    END,
    END_STREAM,
    OPENING,
    PING_FRAME,
    REQUEST,
    SETTINGS_FRAME,
    data,
    frame,
    goaway,
    head,
    padded,
    reset,
)

_BODY: Final = b'data: {"choices":[]}\n\n'
_MOST_FRAME: Final = 64  # bytes of a payload that is written as a frame here


class _Slow(StreamParser):
    """Every read is looked at by h2."""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:  # noqa: ARG002
        return False


def http2(given: bytes) -> None:
    """The HTTP/2 parser gives the same for whole and for cut reads, for frames alone, and without its fast path."""
    choices = Choices(given, 3)
    way, opened, framed = choices.below(9), choices.below(2), choices.below(2)
    frames = _frames(choices.rest) if framed else [choices.rest]
    frames = [OPENING, *frames] if opened else frames
    wire = b"".join(frames)
    body = b"hello" if given[:1] > b"\x7f" else b""
    expected = _meaning(StreamParser, [wire], body)
    for parser, reads in (
        (StreamParser, pieces(wire, way)),
        (StreamParser, frames),
        (_Slow, frames),
        (_Slow, [wire]),
    ):
        assert _meaning(parser, reads, body) == expected


def _frames(data: bytes) -> list[bytes]:
    """Bytes read as a list of frames: kind, flags, stream, length, and so many bytes of payload."""
    found = []
    while len(data) >= 4:
        kind, flags, stream, size = data[0] % 11, data[1], data[2] % 4, data[3] % _MOST_FRAME
        found.append(frame(kind, data[4 : 4 + size], flags=flags, stream=stream))
        data = data[4 + size :]
    return found


def _meaning(kind: type[StreamParser], reads: list[bytes], request: bytes) -> tuple[object, ...]:
    capture = Capture(0, method="POST", sent_ns=0)
    parser = kind(ExchangeState(capture), Session(), REQUEST, request)
    capture.request = parser.outgoing()
    for number, piece in enumerate(part for part in reads if part):
        if parser.done:
            break
        capture.reads.append(Read(number, number, len(piece)))
        parser.feed(piece, len(capture.reads) - 1)
        parser.outgoing()
    parser.eof()
    assert capture.end is not None
    assert sum(len(part) for _, part in capture.body) <= sum(map(len, reads))
    return capture.head, b"".join(part for _, part in capture.body), capture.end, capture.detail


def _seeds() -> list[bytes]:
    wires = [
        head() + data(_BODY) + data(_BODY) + END,
        head() + padded(_BODY, 20) + data(b"", flags=END_STREAM),
        PING_FRAME + head() + data(_BODY) + goaway(),
        head() + data(_BODY) + reset(8),
        head() + data(_BODY, stream=3) + END,
        head((":status", "429"), ("retry-after", "1")) + END,
    ]
    framed = [
        b"\x01\x04\x01\x01\x88" + b"\0\0\x01\x05hello" + b"\0\x01\x01\x00",
        b"\x04\0\0\0\x04\x01\0\0\x06\0\0\x08abcdefgh",
    ]
    return (
        [b"\x03\1\0" + wire for wire in wires]
        + [b"\0\0\0" + SETTINGS_FRAME + wire for wire in wires]
        + [b"\x85\1\1" + one for one in framed]
    )


HTTP2: Final = Target(http2, _seeds)
