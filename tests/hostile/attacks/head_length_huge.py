"""A length that nothing can be."""

from tests.hostile.attack import SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("truncated"), SSE[:-2] + b"Content-Length: 999999999999999999\r\n\r\n" + TOKEN)
