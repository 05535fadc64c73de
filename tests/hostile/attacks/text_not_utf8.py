"""Bytes that are not UTF-8."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("ok", "protocol_error", "truncated"), SSE + b"data: \xff\xc0\x80\xed\xa0\x80\n\n" + TOKEN + DONE)
