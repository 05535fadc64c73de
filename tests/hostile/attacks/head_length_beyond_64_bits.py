"""A length of a hundred digits."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE[:-2] + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n", TOKEN)
