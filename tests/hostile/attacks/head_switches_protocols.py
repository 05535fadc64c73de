"""A status 101 that nobody asked for, then another protocol."""

from tests.hostile.attack import ends, flood

ATTACK = flood(
    ends("http_error"), b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", b"x"
)
