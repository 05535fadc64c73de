"""A media type of 60,000 characters."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(
    ends("protocol_error"), b"HTTP/1.1 200 OK\r\nContent-Type: " + b"x" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nhi"
)
