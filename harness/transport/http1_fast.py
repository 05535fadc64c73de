"""The fast path of http1_parser.py for a whole response: a chunked 200 without anything unusual.

Law: `plain_response` gives what ResponseParser gives for the same bytes, in whatever reads they came, or None
(test_http1_fast.py: test_a_plain_response_is_what_the_parser_makes_of_it).
"""

import re
from functools import lru_cache
from itertools import accumulate
from typing import Final

from streamgauge.transport.chunks_fast import cut
from streamgauge.transport.limits import FREE_PIECES
from streamgauge.transport.native import Cut
from streamgauge.wire import Arrivals, Head, PlainResponse

# Larger responses take the slow path, which enforces the limits of heads, bodies and pieces.
MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_HEAD_BYTES: Final = 16 * 1024
_MOST_READS: Final = 100_000

_HEAD: Final = re.compile(rb"HTTP/1\.1 200 OK\r\n(?:[A-Za-z0-9_.-]+:[ -~]*\r\n)+\r\n")


def plain_response(arrivals: Arrivals, cut: Cut = cut) -> PlainResponse | None:
    """The response in these reads, when it is complete, ends with the last byte and is plain; else None."""
    data = arrivals.data
    if len(data) > MOST_BYTES or len(arrivals.sizes) > _MOST_READS:
        return None
    begin = data.find(b"\r\n\r\n") + 4
    head = _plain_head(data[:begin])
    if head is None:
        return None
    parts = cut(data, begin, list(arrivals.sizes))
    if parts is None:
        return None
    pieces, ends, arrived = parts
    if len(pieces) > FREE_PIECES:
        return None
    head_read = next(read for read, end in enumerate(accumulate(arrivals.sizes)) if end >= begin)
    keep_alive = "close" not in (head.get("connection") or "").lower()
    return PlainResponse(head, head_read, pieces, ends, arrived, keep_alive)


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
