"""Plain text without an end."""

from tests.hostile.attack import ends, flood

ATTACK = flood(
    ends("protocol_error"), b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n", b"word "
)
