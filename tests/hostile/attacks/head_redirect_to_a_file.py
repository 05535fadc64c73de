"""A redirect to a file of the user."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(ends("http_error"), b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
