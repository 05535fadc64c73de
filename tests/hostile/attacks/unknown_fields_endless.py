"""Fields that no standard has."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN, b"x\n")
