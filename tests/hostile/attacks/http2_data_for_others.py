"""DATA for a stream that nobody opened."""

from tests.hostile.attack import DATA, H2_HEAD, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(DATA, 0, 7, b"x" * 100), Family.HTTP2)
