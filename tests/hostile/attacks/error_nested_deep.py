"""An error whose message is nested a hundred thousand times."""

from tests.hostile.attack import SSE, Attack, ends

ATTACK = Attack(
    ends("protocol_error", "empty", "error_event"),
    SSE + b'data: {"error":' + b'{"message":' * 100_000 + b"1" + b"}" * 100_001 + b"\n\n",
)
