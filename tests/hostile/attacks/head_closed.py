"""The connection is closed without an answer."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(ends("truncated"))
