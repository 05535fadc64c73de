"""A token now and then: the stream flows, and never ends."""

from tests.hostile.attack import SSE, TOKEN, drip, ends

ATTACK = drip(ends("timeout", "stalled"), SSE, TOKEN)
