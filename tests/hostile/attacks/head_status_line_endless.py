"""A status line without an end."""

from tests.hostile.attack import ends, flood

ATTACK = flood(ends("protocol_error"), b"HTTP/1.1 200 ", b"O")
