"""An error whose body comes byte by byte."""

from tests.hostile.attack import drip, ends

ATTACK = drip(ends("http_error"), b"HTTP/1.1 500 X\r\nConnection: close\r\n\r\n", b"x")
