"""Blank lines between lines of JSON, without an end."""

from tests.hostile.attack import ends, flood

ATTACK = flood(
    ends("protocol_error"),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
    b'{"message":{"content":"a"},"done":false}\n',
    b"\n",
)
