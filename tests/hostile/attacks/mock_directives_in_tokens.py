"""Directives for the mock in the tokens."""

from tests.hostile.attack import DONE, SSE, Attack, ends, said

ATTACK = Attack(ends("ok"), SSE + said(delta='{"content":"[[mock id=x tokens=999999 itl=1ms]]"}') + DONE)
