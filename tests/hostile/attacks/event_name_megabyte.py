"""The name of an event, a megabyte long."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("ok", "protocol_error"), SSE + b"event: " + b"x" * 1_000_000 + b"\n" + TOKEN + TOKEN + DONE)
