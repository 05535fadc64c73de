"""DATA frames of one byte."""

from tests.hostile.attack import DATA, H2_HEAD, TOKEN, Family, ends, flood, frame

ATTACK = flood(ends("protocol_error"), H2_HEAD + frame(DATA, 0, 1, TOKEN), frame(DATA, 0, 1, b"x"), Family.HTTP2)
