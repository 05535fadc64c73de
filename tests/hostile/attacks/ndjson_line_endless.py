"""A line of JSON that never ends."""

from tests.hostile.attack import ends, flood

ATTACK = flood(
    ends("protocol_error"),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n" + b'{"message":{"content":"',
    b"a",
)
