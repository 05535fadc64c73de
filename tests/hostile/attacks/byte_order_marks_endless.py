"""Byte order marks without an end."""

from tests.hostile.attack import SSE, ends, flood

ATTACK = flood(ends("protocol_error"), SSE, b"\xef\xbb\xbf")
