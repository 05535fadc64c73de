"""SETTINGS without an end: each must be acknowledged."""

from tests.hostile.attack import H2_BEGIN, SETTINGS, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_BEGIN, frame(SETTINGS, 0, 0), Family.HTTP2)
