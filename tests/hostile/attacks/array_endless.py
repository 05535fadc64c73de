"""A JSON array that grows without an end."""

from tests.hostile.attack import ends, flood

ATTACK = flood(
    ends("protocol_error"),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b"[",
    b'{"token":"a"},',
)
