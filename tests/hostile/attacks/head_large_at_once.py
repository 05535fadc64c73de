"""A head of 80 KB in one piece: more than the limit, although it comes in few reads."""

from tests.hostile.attack import SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("protocol_error"), SSE[:-2] + b"X: " + b"y" * 80_000 + b"\r\n\r\n" + TOKEN)
