"""A wait of centuries."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(
    ends("http_error"), b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"
)
