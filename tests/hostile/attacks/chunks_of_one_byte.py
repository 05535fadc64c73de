"""Chunks of one byte: six bytes on the wire for each."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED + chunk(TOKEN), chunk(b"x"))
