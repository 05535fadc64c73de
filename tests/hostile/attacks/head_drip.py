"""A byte of the head now and then: no limit of silence is met."""

from tests.hostile.attack import drip, ends

ATTACK = drip(ends("timeout"), b"HTTP/1.1 200 OK\r\nA: ", b"b")
