"""A tool call whose arguments never end."""

from tests.hostile.attack import SSE, ends, flood, said

ATTACK = flood(ends("protocol_error"), SSE, said(delta='{"tool_calls":[{"index":0,"function":{"arguments":"a"}}]}'))
