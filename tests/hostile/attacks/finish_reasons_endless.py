"""Finish reasons without an end."""

from tests.hostile.attack import SSE, TOKEN, ends, flood, said

ATTACK = flood(ends("protocol_error", "truncated"), SSE + TOKEN, said(delta="{}", finish_reason='"stop"'))
