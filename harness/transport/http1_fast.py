"""The fast path of http1_parser.py for a whole response: a chunked 200 without anything unusual.

Law: `plain_response` gives what ResponseParser gives for the same bytes, in whatever reads they came, or None
(test_http1_fast.py: test_a_plain_response_is_what_the_parser_makes_of_it).
"""

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate, repeat
from operator import add
from typing import Final

from streamgauge.transport.chunks_fast import chunks_of
from streamgauge.wire import Arrivals, Head, PlainResponse

# Larger responses take the slow path, which enforces the limits of heads, bodies and pieces.
MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_HEAD_BYTES: Final = 16 * 1024
_MOST_READS: Final = 100_000

_HEAD: Final = re.compile(rb"HTTP/1\.1 200 OK\r\n(?:[A-Za-z0-9_.-]+:[ -~]*\r\n)+\r\n")
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"  # with the line end of the chunk before it
_LINE_ENDS: Final = 4  # bytes of the two line ends of a chunk


def plain_response(arrivals: Arrivals) -> PlainResponse | None:
    """The response in these reads, when it is complete, ends with the last byte and is plain; else None."""
    data = arrivals.data
    if len(data) > MOST_BYTES or len(arrivals.sizes) > _MOST_READS or not data.endswith(_LAST_CHUNK):
        return None
    begin = data.find(b"\r\n\r\n") + 4
    head = _plain_head(data[:begin])
    if head is None:
        return None
    parts = chunks_of(data[begin : -len(_LAST_CHUNK)])
    if parts is None:
        return None
    written, chunks, lengths = parts
    body_ends = list(accumulate(lengths))
    read_ends = list(accumulate(arrivals.sizes))
    return PlainResponse(
        head,
        bisect_left(read_ends, begin),
        chunks,
        body_ends,
        _arrived(read_ends, begin, list(map(len, written)), lengths, body_ends),
        "close" not in (head.get("connection") or "").lower(),
    )


def begins_plain(data: bytes) -> bool:
    """Whether this begins with the whole head of a response that `plain_response` may take."""
    return _plain_head(data[: data.find(b"\r\n\r\n") + 4]) is not None


@lru_cache(64)  # each head is looked at twice, and those of one second are often the same
def _plain_head(head: bytes) -> Head | None:
    """The head of a chunked 200 whose fields are plain; else None."""
    if len(head) > _MOST_HEAD_BYTES or not _HEAD.fullmatch(head):
        return None
    fields = []
    codings = 0
    for line in head.decode("ascii").split("\r\n")[1:-2]:
        name, _, value = line.partition(":")
        value = value.strip(" ")
        fields.append((name, value))
        lower = name.lower()
        if lower == "transfer-encoding":
            codings += 1
            if value.lower() != "chunked":
                return None
        elif lower in ("content-length", "upgrade"):
            return None
    return Head(200, "OK", "1.1", tuple(fields)) if codings == 1 else None


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
