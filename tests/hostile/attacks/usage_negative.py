"""A negative count of tokens."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(
    ends("ok"), SSE + TOKEN + b'data: {"choices":[],"usage":{"completion_tokens":-5,"prompt_tokens":-1}}\n\n' + DONE
)
