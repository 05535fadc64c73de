"""An error whose body does not end."""

from tests.hostile.attack import ends, flood

ATTACK = flood(ends("protocol_error", "http_error"), b"HTTP/1.1 500 X\r\nConnection: close\r\n\r\n", b"x")
