"""One list of errors without an end, in an event that never ends."""

from tests.hostile.attack import SSE, ends, flood

ATTACK = flood(ends("protocol_error", "truncated"), SSE + b'data: {"errors":[', b'{"message":"no"},')
