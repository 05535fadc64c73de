"""Lines that only a CR ends."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN, b"\r")
