"""Informational heads without an end."""

from tests.hostile.attack import END_HEADERS, H2_BEGIN, HEADERS, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_BEGIN, frame(HEADERS, END_HEADERS, 1, b"\x08\x03103"), Family.HTTP2)
