"""A negative length."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE[:-2] + b"Content-Length: -5\r\n\r\n", TOKEN)
