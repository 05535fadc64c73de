"""The fast path of http1_parser.py for reads in the middle of a chunked body, at a third of the cost of llhttp.

Its law: `whole_chunks` gives the pieces of the body that llhttp would give, or None
(test_http1_parser.py: test_whole_chunks_taken_together_are_what_they_are_one_by_one).
"""

from typing import Final

_HEX_DIGITS: Final = b"0123456789abcdefABCDEF"


def whole_chunks(pieces: list[bytes], read: int) -> list[tuple[int, bytes]] | None:
    """The body pieces `(read, chunk)` of reads from number `read` on, when each read is whole chunks; else None.

    The reads must begin between two chunks.
    """
    joined = b"".join(pieces)
    if not joined.endswith(b"\r\n"):
        return None
    parts = joined[:-2].split(b"\r\n")
    sizes, chunks = parts[::2], parts[1::2]
    if len(sizes) != len(chunks) or not all(sizes) or b"".join(sizes).translate(None, _HEX_DIGITS):
        return None
    lengths = [len(chunk) for chunk in chunks]
    if [int(size, 16) for size in sizes] != lengths or 0 in lengths:
        return None
    reads = _reads_of_chunks(pieces, read, [len(size) + n + 4 for size, n in zip(sizes, lengths, strict=True)])
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
