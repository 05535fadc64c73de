"""The head of an event stream, and the end of the connection."""

from tests.hostile.attack import SSE, Attack, ends

ATTACK = Attack(ends("empty"), SSE)
