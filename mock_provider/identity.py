"""Values that differ between streams and are the same in every run: ids, creation times, random draws.

All derive from (seed, stream id) by SHA-256, which is the same on every machine. A stream without an id is named after
the ordinal of its request, so the same requests in the same order get the same bodies.
"""

from hashlib import sha256
from random import Random

EPOCH_S = 1_767_225_600  # 2026-01-01T00:00:00Z, a plausible time that is independent of the clock
SPREAD_S = 365 * 86_400


def stream_id(ordinal: int) -> str:
    """The id of a stream whose directive has none."""
    return f"stream-{ordinal}"


def hex_id(seed: int, stream: str, purpose: str = "response", digits: int = 24) -> str:
    """Lower-case hex digits, at most 64; `purpose` separates the ids of one stream."""
    return _digest(seed, stream, purpose).hex()[:digits]


def created_s(seed: int, stream: str) -> int:
    """Creation time of a response in epoch seconds."""
    return EPOCH_S + int.from_bytes(_digest(seed, stream, "created")[:8]) % SPREAD_S


def fraction(seed: int, stream: str, purpose: str) -> float:
    """A number in [0, 1)."""
    return int.from_bytes(_digest(seed, stream, purpose)[:6]) / 2**48


def generator(seed: int, stream: str, purpose: str) -> Random:
    """A separate generator for each purpose, so that more draws for one do not change those for another."""
    return Random(int.from_bytes(_digest(seed, stream, purpose)))


def _digest(seed: int, stream: str, purpose: str) -> bytes:
    return sha256(f"{seed}/{stream}/{purpose}".encode()).digest()
