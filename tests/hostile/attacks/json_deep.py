"""JSON of 100,000 levels."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("ok", "protocol_error", "truncated"), SSE + TOKEN + b"data: " + b"[" * 100_000 + b"\n\n" + DONE)
