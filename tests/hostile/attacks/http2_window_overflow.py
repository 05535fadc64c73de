"""A flow-control window above 2^31."""

from tests.hostile.attack import H2_HEAD, WINDOW_UPDATE, Family, ends, flood, frame

ATTACK = flood(
    ends("protocol_error", "truncated"), H2_HEAD, frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), Family.HTTP2
)
