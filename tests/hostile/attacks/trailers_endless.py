"""Trailers without an end."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error", "ok"), CHUNKED + chunk(TOKEN) + b"0\r\n", b"A: b\r\n")
