"""The fast paths of http2_parser.py and http2_shared.py: reads of plain DATA frames are cut without the library h2.

A plain frame only continues a body: it is whole and not empty, it has no flags, and its stream has neither ended nor
announced a length. The parsers know the streams whose frames may be plain, by `plain_header`. h2 learns of the frames
later, by their size, so that its flow control stays right (`Session.skip`).

Law: the parts of a read are those that the parser gets from h2 for the same bytes; or None, for any read with another
frame (test_http2_parser.py and test_http2_shared.py: test_nothing_can_tell_the_fast_path_from_the_slow_one).
"""

from itertools import groupby
from typing import Final, NamedTuple

from streamgauge.transport.http2_session import HEADER_BYTES, MAX_FRAME_BYTES
from streamgauge.wire import Read

_PLAIN: Final = b"\0\0"  # type DATA and no flags: RFC 9113 section 6.1
_LARGEST: Final = HEADER_BYTES + MAX_FRAME_BYTES


class PlainFrame(NamedTuple):
    """A frame of one stream. `behind` is the number of bytes from its beginning to the end of the read."""

    stream: int
    payload: bytes
    behind: int


class Arrival(NamedTuple):
    """A frame, and the read of the connection that completed it."""

    frame: PlainFrame
    read: Read


class StreamReads(NamedTuple):
    """What reads of a shared connection brought of one stream: the reads with the stream's own size, its body pieces
    `(read, payload)`, and the numbers of the reads in which bytes of other frames came behind.
    """

    reads: list[Read]
    body: list[tuple[int, bytes]]
    crowded: list[int]


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


def plain_frames(data: bytes, streams: dict[bytes, int]) -> tuple[list[PlainFrame], bytes] | None:
    """The frames in a read of a shared connection, and the beginning of a frame at its end; None for another frame.

    `streams` has the stream of each header that a plain frame may have. The read begins between two frames.
    """
    frames = []
    at, total = 0, len(data)
    while total - at >= HEADER_BYTES:
        begin = at + HEADER_BYTES
        size = int.from_bytes(data[at : at + 3])
        stream = streams.get(data[at + 3 : begin])
        if stream is None or not 0 < size <= MAX_FRAME_BYTES:
            return None
        end = begin + size
        if end > total:
            break
        frames.append(PlainFrame(stream, data[begin:end], total - at))
        at = end
    return frames, data[at:]


def stream_reads(arrivals: list[Arrival], first: int) -> StreamReads:
    """The reads that brought the frames of one stream, in order. The first of them gets the number `first`."""
    found = StreamReads([], [], [])
    reads, body, crowded = found
    last: Read | None = None
    number = first - 1
    size = behind = 0
    for (_, payload, bytes_behind), read in arrivals:
        if read is last:  # one more frame in it
            size += HEADER_BYTES + len(payload)
            reads[-1] = reads[-1]._replace(size=size)
            if behind <= size and crowded and crowded[-1] == number:
                crowded.pop()
        else:
            last, behind, size = read, bytes_behind, HEADER_BYTES + len(payload)
            number += 1
            reads.append(Read(read.t_ns, read.user_ns, size, read.stamped, read.empty_ns))
            if behind > size:
                crowded.append(number)
        body.append((number, payload))
    return found


def by_read(arrivals: list[Arrival]) -> list[list[Arrival]]:
    """The frames of each read."""
    return [list(frames) for _, frames in groupby(arrivals, key=lambda arrival: id(arrival.read))]
