"""Finish reasons that say error, without an end."""

from tests.hostile.attack import SSE, ends, flood

ATTACK = flood(
    ends("error_event", "protocol_error"),
    SSE,
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\n',
)
