"""Blank lines without an end."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN, b"\n")
