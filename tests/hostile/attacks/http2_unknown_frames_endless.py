"""Frames of a type that nobody knows."""

from tests.hostile.attack import H2_HEAD, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(0xEE, 0, 1, bytes(100)), Family.HTTP2)
