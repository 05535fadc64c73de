"""One event with a hundred thousand choices, each with a token."""

from tests.hostile.attack import DONE, SSE, Attack, ends

CHOICES = b",".join(b'{"index":%d,"delta":{"content":"a"}}' % n for n in range(100_000))
ATTACK = Attack(ends("protocol_error", "client_limit"), SSE + b'data: {"choices":[' + CHOICES + b"]}\n\n" + DONE)
