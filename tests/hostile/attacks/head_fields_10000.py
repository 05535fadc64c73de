"""10,000 header fields, in 90 KB."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("ok", "protocol_error"), SSE[:-2] + b"X-A: bc\r\n" * 10_000 + b"\r\n" + TOKEN + DONE)
