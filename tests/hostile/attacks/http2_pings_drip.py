"""A PING now and then, and never an answer."""

from tests.hostile.attack import H2_BEGIN, PING, Family, drip, ends, frame

ATTACK = drip(ends("timeout"), H2_BEGIN, frame(PING, 0, 0, b"12345678"), Family.HTTP2)
