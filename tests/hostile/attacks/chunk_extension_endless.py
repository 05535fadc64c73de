"""A chunk extension without an end."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED + chunk(TOKEN) + b"1;", b"a")
