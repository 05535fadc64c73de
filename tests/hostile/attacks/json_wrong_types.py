"""Every field of the wrong type."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends, said

ATTACK = Attack(
    ends("ok", "protocol_error", "empty", "truncated"),
    SSE + said(delta="[]", finish_reason="{}", index='"x"') + TOKEN + DONE,
)
