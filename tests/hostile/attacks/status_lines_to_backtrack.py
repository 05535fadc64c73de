"""A status page whose lines cost an expression with nested repeats the square of their length."""

from tests.hostile.attack import RUNNING, STATUS, Attack, ends

_ENDS = [b" " * 15_000 + b"x y", b"{" + b"}" * 15_000 + b" 1 x", b"{" + b"a" * 15_000 + b"} 1"]
ATTACK = Attack(ends("ok", "client_limit"), STATUS + b"".join(RUNNING + end + b"\n" for end in _ENDS) * 50)
