"""A plain-text answer on a TLS port."""

from tests.hostile.attack import Attack, Family, ends

ATTACK = Attack(ends("connect_error"), b"HTTP/1.1 400 Bad Request\r\n\r\n", family=Family.TLS)
