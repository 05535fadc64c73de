"""A count of tokens of 2^63."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(
    ends("ok"), SSE + TOKEN + b'data: {"choices":[],"usage":{"completion_tokens":9223372036854775808}}\n\n' + DONE
)
