"""Control sequences in header fields."""

from tests.hostile.attack import DONE, SSE, TOKEN, Attack, ends

ATTACK = Attack(
    ends("ok", "protocol_error"), SSE[:-2] + "Server: \x9b31m\r\nVia: é\x85\r\n\r\n".encode("latin-1") + TOKEN + DONE
)
