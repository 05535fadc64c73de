"""A status 204 with a body."""

from tests.hostile.attack import TOKEN, ends, flood

ATTACK = flood(ends("http_error"), b"HTTP/1.1 204 No Content\r\n\r\n", TOKEN)
