"""A whole answer, then one trailer line that never ends."""

from tests.hostile.attack import CHUNKED, DONE, TOKEN, ends, flood

BODY = TOKEN * 5 + DONE
ATTACK = flood(ends("ok", "protocol_error"), CHUNKED + b"%x\r\n%b\r\n0\r\nX: " % (len(BODY), BODY), b"y")
