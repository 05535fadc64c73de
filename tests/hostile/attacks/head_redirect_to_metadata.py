"""A redirect to the address where clouds keep credentials."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(
    ends("http_error"), b"HTTP/1.1 301 M\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n\r\n"
)
