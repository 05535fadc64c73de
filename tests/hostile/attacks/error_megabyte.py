"""An error message of a megabyte."""

from tests.hostile.attack import SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("error_event"), SSE + TOKEN + b'data: {"error":{"message":"' + b"x" * 1_000_000 + b'"}}\n\n')
