"""Two lengths that differ: clients disagree on where the answer ends."""

from tests.hostile.attack import SSE, TOKEN, Attack, ends

ATTACK = Attack(ends("protocol_error"), SSE[:-2] + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n" + TOKEN)
