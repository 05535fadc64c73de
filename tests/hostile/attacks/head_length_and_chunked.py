"""A length beside chunks: the ground for request smuggling."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n", chunk(TOKEN))
