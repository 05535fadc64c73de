"""The fast path from the capture of a complete response to its record, where the transport had no fast path for all of
it: HTTP/2, TLS, a body without chunks.

The reads and pieces of the capture are put into columns, and record_fast.py does the rest.
Law: `captured_record` gives the record that `record_of` makes of the interpreted capture, or None
(test_capture_fast.py: test_a_captured_record_is_the_record_of_the_transcript).
"""

from itertools import accumulate
from typing import Final, Unpack

from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.outcome import Ends
from streamgauge.protocol.record import Labels, StreamRecord
from streamgauge.protocol.record_fast import plain_record
from streamgauge.wire import Arrivals, Capture, End, PlainResponse

# Larger responses take the slow path, which enforces the limits of bodies and events.
MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_READS: Final = 100_000


def captured_record(
    capture: Capture,
    stream_id: str,
    dialect: Dialect | None = None,
    ends: Ends = Ends.AUTO,
    **labels: Unpack[Labels],
) -> StreamRecord | None:
    """The record of a complete event stream; None for any other response, and without a dialect."""
    response = None if dialect is None else _response_of(capture)
    if response is None:
        return None
    return plain_record(capture, _columns_of(capture), response, stream_id, dialect, ends, **labels)


def _response_of(capture: Capture) -> PlainResponse | None:
    head, head_read, body, reads = capture.head, capture.head_read, capture.body, capture.reads
    if capture.end is not End.COMPLETE or head is None or head_read is None or not body or len(reads) > _MOST_READS:
        return None
    if capture.fault is not None:
        return None  # the record names it
    pieces = [piece for _, piece in body]
    ends = list(accumulate(map(len, pieces)))
    if ends[-1] > MOST_BYTES:
        return None
    brought = [0] * len(reads)
    for read, piece in body:
        brought[read] += len(piece)
    return PlainResponse(head, head_read, pieces, ends, list(accumulate(brought)), keep_alive=False)


def _columns_of(capture: Capture) -> Arrivals:
    """The reads without their bytes, which the pieces have."""
    t_ns, user_ns, sizes, stamped, _ = zip(*capture.reads, strict=True)
    unstamped = () if all(stamped) else [read for read, known in enumerate(stamped) if not known]
    return Arrivals(b"", t_ns, user_ns, sizes, unstamped)
