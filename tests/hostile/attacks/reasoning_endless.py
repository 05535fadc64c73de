"""Reasoning without an end, and never an answer."""

from tests.hostile.attack import SSE, ends, flood, said

ATTACK = flood(ends("protocol_error"), SSE, said(delta='{"reasoning_content":"a"}'))
