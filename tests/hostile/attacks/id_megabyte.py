"""An id of a megabyte, which a client would send back."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("ok", "protocol_error"), SSE + b"id: " + b"x" * 1_000_000 + b"\n" + TOKEN + TOKEN + DONE)
