"""Ten thousand cookies to keep."""

from tests.hostile.attack import SSE, Attack, ends

ATTACK = Attack(
    ends("protocol_error"), SSE[:-2] + b"".join(b"Set-Cookie: c%d=%d\r\n" % (n, n) for n in range(10_000)) + b"\r\n"
)
