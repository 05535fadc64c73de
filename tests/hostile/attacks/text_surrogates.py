"""Half of a character in JSON escapes."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends, said

ATTACK = Attack(ends("ok", "protocol_error"), SSE + said(delta='{"content":"\\ud83c"}') + TOKEN + DONE)
