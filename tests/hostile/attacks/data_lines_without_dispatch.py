"""Data lines without the blank line that would end the event."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN, b"data: x\n")
