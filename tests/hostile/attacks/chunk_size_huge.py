"""A chunk of 2^60 bytes."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED + chunk(TOKEN) + b"fffffffffffffff\r\n", TOKEN)
