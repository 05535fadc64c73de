"""Whole chunks of a chunked body, cut at a third of the cost of llhttp: for http1_fast.py, and for reads in mid-body.

Its laws: `whole_chunks` gives the pieces of the body that llhttp would give, or None
(test_http1_parser.py: test_whole_chunks_taken_together_are_what_they_are_one_by_one). `cut_in_python` and the same in
C, at an eighth of its cost, give for a whole body what llhttp would give, or None (test_http1_fast.py).
"""

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate, repeat
from operator import add
from typing import Final

from streamgauge.transport.native import CUT, Cut

_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,6}")
_MOST_SIZES: Final = 4096
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"  # with the line end of the chunk before it
_LINE_ENDS: Final = 4  # bytes of the two line ends of a chunk


class _Sizes(dict[bytes, int]):
    """The value of each chunk size as it is written; -1, which no chunk has, for 0 and for anything but hex digits."""

    def __missing__(self, written: bytes) -> int:
        if not _SIZE.fullmatch(written):
            return -1
        size = int(written, 16) or -1
        if len(self) < _MOST_SIZES:
            self[written] = size
        return size


_sizes: Final = _Sizes()


def cut_in_python(data: bytes, begin: int, sizes: list[int]) -> tuple[list[bytes], list[int], list[int]] | None:
    """The chunks of a whole body, from its first byte at `begin` to the end of `data`; None for anything unusual.

    Also the offsets in the body at which the chunks end, and for each read, given by its size, the number of body bytes
    that had come by its end.
    """
    parts = chunks_of(data[begin : -len(_LAST_CHUNK)]) if data.endswith(_LAST_CHUNK) else None
    if parts is None:
        return None
    written, chunks, lengths = parts
    body_ends = list(accumulate(lengths))
    arrived = _arrived(list(accumulate(sizes)), begin, list(map(len, written)), lengths, body_ends)
    return chunks, body_ends, arrived


cut: Final[Cut] = CUT or cut_in_python


def chunks_of(data: bytes) -> tuple[list[bytes], list[bytes], list[int]] | None:
    """The sizes as they are written, the chunks and their lengths, when `data` is whole chunks; else None.

    The line end of the last chunk is left out.
    """
    # A chunk with a line end in it makes the two lists differ, and so does anything between size and line end.
    lines = data.split(b"\r\n")
    written, chunks = lines[::2], lines[1::2]
    lengths = list(map(len, chunks))
    return (written, chunks, lengths) if list(map(_sizes.__getitem__, written)) == lengths else None


def _arrived(
    read_ends: list[int], begin: int, widths: list[int], lengths: list[int], body_ends: list[int]
) -> list[int]:
    """For each read, the number of body bytes up to its end.

    The chunks begin at the offset `begin`; `widths` are the digits of their sizes, `lengths` their bytes, and
    `body_ends` the sums of `lengths`.
    """
    widths[0] += begin
    chunk_ends: list[int] = list(accumulate(map(add, map(add, widths, repeat(_LINE_ENDS)), lengths)))
    first = bisect_left(read_ends, chunk_ends[0])
    after = first + len(chunk_ends)
    if read_ends[first:after] == chunk_ends and (not first or read_ends[first - 1] <= begin):
        # A read for each chunk: those before it brought the head, those behind it the last chunk.
        return [0] * first + body_ends + [body_ends[-1]] * (len(read_ends) - after)

    def up_to(end: int) -> int:
        chunk = bisect_right(chunk_ends, end)
        if chunk == len(lengths):
            return body_ends[-1]
        start = chunk_ends[chunk] - 2 - lengths[chunk]
        return body_ends[chunk] - lengths[chunk] + min(max(end - start, 0), lengths[chunk])

    known = dict(zip(chunk_ends, body_ends, strict=True))
    return [known[end] if end in known else up_to(end) for end in read_ends]


def whole_chunks(pieces: list[bytes], read: int) -> list[tuple[int, bytes]] | None:
    """The body pieces `(read, chunk)` of reads from number `read` on, when each read is whole chunks; else None.

    The reads must begin between two chunks.
    """
    joined = b"".join(pieces)
    if not joined.endswith(b"\r\n"):
        return None
    parts = chunks_of(joined[:-2])
    if parts is None:
        return None
    written, chunks, lengths = parts
    reads = _reads_of_chunks(pieces, read, [len(size) + n + 4 for size, n in zip(written, lengths, strict=True)])
    return None if reads is None else list(zip(reads, chunks, strict=True))


def _reads_of_chunks(pieces: list[bytes], read: int, sizes: list[int]) -> list[int] | None:
    """The read of each chunk, given their sizes on the wire; None where a chunk spans two reads."""
    if len(sizes) == len(pieces):
        return list(range(read, read + len(pieces))) if [len(piece) for piece in pieces] == sizes else None
    reads = []
    end = 0  # length of all pieces so far
    at = 0
    each = iter(sizes)
    for number, piece in enumerate(pieces, read):
        end += len(piece)
        while at < end:
            at += next(each)
            reads.append(number)
        if at > end:
            return None
    return reads
