"""The fast paths of http2_parser.py and http2_shared.py: reads of plain DATA frames are cut without the library h2.

A plain frame only continues a body: it is whole and not empty, it has no flags, and its stream has neither ended nor
announced a length. The parsers know the streams whose frames may be plain, by `plain_header`. h2 learns of the frames
later, by their size, so that its flow control stays right (`Session.skip`).

Law: the parts of a read are those that the parser gets from h2 for the same bytes; or None, for any read with another
frame (test_http2_parser.py and test_http2_shared.py: test_nothing_can_tell_the_fast_path_from_the_slow_one).
"""

from typing import Final, NamedTuple

from streamgauge.transport.http2_session import HEADER_BYTES, MAX_FRAME_BYTES

_PLAIN: Final = b"\0\0"  # type DATA and no flags: RFC 9113 section 6.1
_LARGEST: Final = HEADER_BYTES + MAX_FRAME_BYTES


class StreamPayloads(NamedTuple):
    """The payloads that one read brought of one stream. `crowded`: bytes of other streams came behind them."""

    stream: int
    payloads: list[bytes]
    crowded: bool


class PlainFrames(NamedTuple):
    """A read that begins between two frames, and the beginning of a frame at its end."""

    streams: list[StreamPayloads]
    rest: bytes


def plain_header(stream: int) -> bytes:
    """The header of this stream's plain frames, without their length."""
    return _PLAIN + stream.to_bytes(4)


def payloads_of(data: bytes, header: bytes) -> list[bytes] | None:
    """The payloads in a read, when all of it is whole plain frames with this header; else None.

    No frame has an empty `header`.
    """
    if data[3:9] == header and HEADER_BYTES < len(data) == HEADER_BYTES + int.from_bytes(data[:3]) <= _LARGEST:
        return [data[HEADER_BYTES:]]  # exactly one frame, which is the usual case
    payloads = []
    at = 0
    while at < len(data):
        begin = at + HEADER_BYTES
        size = int.from_bytes(data[at : at + 3])
        if data[at + 3 : begin] != header or not 0 < size <= MAX_FRAME_BYTES or begin + size > len(data):
            return None
        at = begin + size
        payloads.append(data[begin:at])
    return payloads or None


def body_of(pieces: list[bytes], read: int, header: bytes) -> list[tuple[int, bytes]] | None:
    """The body pieces `(read, payload)` of reads from number `read` on, when each read is whole plain frames."""
    body: list[tuple[int, bytes]] = []
    for number, piece in enumerate(pieces, read):
        payloads = payloads_of(piece, header)
        if payloads is None:
            return None
        body += [(number, payload) for payload in payloads]
    return body


def plain_frames(data: bytes, streams: dict[bytes, int]) -> PlainFrames | None:
    """The payloads in a read of a shared connection, when all of its frames are plain; else None.

    `streams` has the stream of each header that a plain frame may have. The read begins between two frames.
    """
    found: dict[int, list[bytes]] = {}
    first: dict[int, int] = {}  # the number of the first frame of a stream
    at, total, count = 0, len(data), 0
    while total - at >= HEADER_BYTES:
        begin = at + HEADER_BYTES
        size = int.from_bytes(data[at : at + 3])
        stream = streams.get(data[at + 3 : begin])
        if stream is None or not 0 < size <= MAX_FRAME_BYTES:
            return None
        if begin + size > total:
            break
        at = begin + size
        payloads = found.get(stream)
        if payloads is None:
            found[stream] = [data[begin:at]]
            first[stream] = count
        else:
            payloads.append(data[begin:at])
        count += 1
    rest = data[at:]
    return PlainFrames(
        [
            StreamPayloads(stream, payloads, first[stream] + len(payloads) < count or bool(rest))
            for stream, payloads in found.items()
        ],
        rest,
    )
