"""A second answer behind the end of the first."""

from tests.hostile.attack import CHUNKED, DONE, TOKEN, chunk, ends, flood

ATTACK = flood(
    ends("ok"), CHUNKED + chunk(TOKEN + DONE) + b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)
