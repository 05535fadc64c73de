"""DATA frames without data."""

from tests.hostile.attack import DATA, H2_HEAD, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(DATA, 0, 1), Family.HTTP2)
