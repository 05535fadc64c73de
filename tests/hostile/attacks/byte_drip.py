"""One byte of an event now and then."""

from tests.hostile.attack import SSE, TOKEN, drip, ends

ATTACK = drip(ends("timeout", "stalled"), SSE + TOKEN + b"data: ", b"x")
