"""Retry times without an end, of a hundred digits."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error"), SSE + TOKEN, b"retry: " + b"9" * 100 + b"\n")
