"""The limits of one response. Those of all responses of a process together are in transport/memory.py."""

from typing import Final

from streamgauge.wire import MAX_KEPT_BYTES, Capture

# httptools copies a header again for each piece of it that arrives, so a head that comes byte by byte costs quadratic
# time: half a second for this size.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
# A piece takes 130 bytes of memory beside its own, so a body in pieces of one byte would take a hundred times its size.
# The memory of all of them is counted (transport/memory.py); this bounds one answer, and the time that it takes.
# Servers write an event in three chunks (its name, its data, its end), and the longest answers have 150,000 events.
FREE_PIECES: Final = 450_000
LEAST_PIECE_BYTES: Final = 50  # on average, behind the first FREE_PIECES
MOST_WIRE_PER_BODY: Final = 2  # bytes on the wire, as a multiple of the largest body: the sizes of chunks
# Bytes that bring nothing of the body. Over HTTP/1.1: chunk extensions and trailers, in reads without a byte of the
# body; httptools copies a trailer as it does a header, and 8 MB of one trailer took 11 s. Over HTTP/2: PING, SETTINGS,
# empty DATA and the other frames that a peer may send without end (RFC 9113 section 10.5).
MAX_ASIDE_BYTES: Final = 256 * 1024


def body_limit(capture: Capture) -> int:
    """The largest body that is accepted, in bytes; smaller when the wire is kept as well."""
    return MAX_BODY_BYTES if capture.wire is None else MAX_KEPT_BYTES


def too_many_pieces(pieces: int, body_bytes: int) -> bool:
    """Whether a body comes in more and smaller pieces than any stream of tokens.

    A fast path that takes many pieces at once gives the bytes before them: then no prefix of them is too many.
    """
    return pieces > FREE_PIECES + body_bytes // LEAST_PIECE_BYTES


def body_too_large(pieces: int, body_bytes: int, max_body_bytes: int) -> str:
    """Which limit a body exceeds, in words."""
    if body_bytes > max_body_bytes:
        return f"the body is larger than {max_body_bytes:,} bytes"
    return f"the body comes in {pieces:,} pieces of {body_bytes // max(pieces, 1):,} bytes on average"
