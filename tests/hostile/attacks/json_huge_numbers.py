"""Numbers of 400,000 digits."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends, said

ATTACK = Attack(
    ends("ok", "protocol_error", "truncated"), SSE + said(delta='{"content":"a"}', index="9" * 400_000) + TOKEN + DONE
)
