"""An answer in HTTP/1.1."""

from tests.hostile.attack import TOKEN, Family, ends, flood

ATTACK = flood(ends("protocol_error", "truncated"), b"HTTP/1.1 200 OK\r\n\r\n", TOKEN, Family.HTTP2)
