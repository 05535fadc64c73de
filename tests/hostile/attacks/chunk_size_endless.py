"""A chunk size of zeros without an end."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED + chunk(TOKEN), b"0" * 1_000)
