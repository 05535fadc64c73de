"""Two codings, one in the other."""

from tests.hostile.attack import Attack, coded, ends, gzip_bomb

ATTACK = Attack(ends("protocol_error"), coded(b"gzip, gzip", gzip_bomb(1_000)))
