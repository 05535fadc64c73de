"""A reason phrase of 60,000 characters."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(ends("http_error"), b"HTTP/1.1 500 " + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n")
