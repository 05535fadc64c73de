"""PING without an end: each must be answered."""

from tests.hostile.attack import H2_HEAD, PING, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(PING, 0, 0, b"12345678"), Family.HTTP2)
