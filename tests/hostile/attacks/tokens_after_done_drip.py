"""A token now and then behind the end marker."""

from tests.hostile.attack import DONE, SSE, TOKEN, drip, ends

ATTACK = drip(ends("ok"), SSE + TOKEN + DONE, TOKEN)
