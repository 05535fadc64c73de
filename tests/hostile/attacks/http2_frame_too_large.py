"""A frame of 16 MB."""

from tests.hostile.attack import H2_HEAD, Family, ends, flood

ATTACK = flood(ends("protocol_error"), H2_HEAD + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", b"x", Family.HTTP2)
