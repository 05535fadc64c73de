"""Whole chunks of a chunked body, cut at a third of the cost of llhttp: for http1_fast.py, and for reads in mid-body.

Its law: `whole_chunks` gives the pieces of the body that llhttp would give, or None
(test_http1_parser.py: test_whole_chunks_taken_together_are_what_they_are_one_by_one).
"""

import re
from typing import Final

_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,6}")
_MOST_SIZES: Final = 4096


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


def chunks_of(data: bytes) -> tuple[list[bytes], list[bytes], list[int]] | None:
    """The sizes as they are written, the chunks and their lengths, when `data` is whole chunks; else None.

    The line end of the last chunk is left out.
    """
    # A chunk with a line end in it makes the two lists differ, and so does anything between size and line end.
    lines = data.split(b"\r\n")
    written, chunks = lines[::2], lines[1::2]
    lengths = list(map(len, chunks))
    return (written, chunks, lengths) if list(map(_sizes.__getitem__, written)) == lengths else None


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
