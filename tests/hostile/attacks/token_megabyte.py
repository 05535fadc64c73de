"""A token of a megabyte."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends, said

ATTACK = Attack(ends("ok"), SSE + said(delta='{"content":"' + "x" * 1_000_000 + '"}') + TOKEN + DONE)
