"""A finish reason of a megabyte."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends, said

ATTACK = Attack(ends("ok"), SSE + TOKEN + said(delta="{}", finish_reason='"' + "x" * 1_000_000 + '"') + DONE)
