"""Records of a SignalR hub without an end, in one event."""

from tests.hostile.attack import SSE, ends, flood

ATTACK = flood(ends("protocol_error", "truncated"), SSE + b"data: ", b'{"type":6}\x1e')
