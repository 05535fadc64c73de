"""A comment now and then, and no content."""

from tests.hostile.attack import SSE, TOKEN, drip, ends

ATTACK = drip(ends("timeout", "stalled"), SSE + TOKEN, b": hb\n\n")
