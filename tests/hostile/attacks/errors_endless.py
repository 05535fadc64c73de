"""Error events without an end."""

from tests.hostile.attack import SSE, TOKEN, ends, flood

ATTACK = flood(ends("protocol_error", "error_event"), SSE + TOKEN, b'data: {"error":{"message":"no"}}\n\n')
