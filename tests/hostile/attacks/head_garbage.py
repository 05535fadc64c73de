"""Bytes that no protocol begins with."""

from tests.hostile.attack import ends, flood

ATTACK = flood(ends("protocol_error"), b"", b"\x00\xff\x1b[31m\r\n")
