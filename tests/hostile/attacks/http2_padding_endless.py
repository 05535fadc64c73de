"""DATA frames of padding only."""

from tests.hostile.attack import DATA, H2_HEAD, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(DATA, 8, 1, b"\xff" + bytes(255)), Family.HTTP2)
