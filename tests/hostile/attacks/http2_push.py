"""A push that the client has switched off."""

from tests.hostile.attack import END_HEADERS, H2_HEAD, PUSH_PROMISE, Family, ends, flood, frame

ATTACK = flood(
    ends("protocol_error"), H2_HEAD, frame(PUSH_PROMISE, END_HEADERS, 1, b"\x00\x00\x00\x02\x82"), Family.HTTP2
)
