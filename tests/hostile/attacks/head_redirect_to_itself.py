"""A redirect to the same place."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(ends("http_error"), b"HTTP/1.1 307 R\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n\r\n")
