"""PRIORITY without an end."""

from tests.hostile.attack import H2_HEAD, PRIORITY, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(PRIORITY, 0, 1, bytes(5)), Family.HTTP2)
