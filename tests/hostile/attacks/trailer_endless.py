"""A trailer without an end."""

from tests.hostile.attack import CHUNKED, DONE, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error", "ok"), CHUNKED + chunk(TOKEN + DONE) + b"0\r\nA: ", b"b" * 1_460)
