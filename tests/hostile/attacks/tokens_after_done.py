"""Tokens behind the end marker."""

from tests.hostile.attack import DONE, SSE, TOKEN, ends, flood

ATTACK = flood(ends("ok", "protocol_error"), SSE + TOKEN + DONE, TOKEN)
