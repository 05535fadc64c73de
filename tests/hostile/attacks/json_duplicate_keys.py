"""The same key twice."""

from tests.hostile.attack import DONE, SSE, Attack, ends

ATTACK = Attack(
    ends("ok", "error_event", "protocol_error"),
    SSE + b'data: {"choices":[],"choices":[{"delta":{"content":"a"}}],"error":1}\n\n' + DONE,
)
