"""Bytes that are no frames."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(ends("protocol_error", "truncated"), b"", b"\x00\xff\x1b[31m", Family.HTTP2)
