"""WINDOW_UPDATE without an end."""

from tests.hostile.attack import H2_HEAD, WINDOW_UPDATE, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD, frame(WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01"), Family.HTTP2)
