"""A line that never ends."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN + b"data: ", b"x")
