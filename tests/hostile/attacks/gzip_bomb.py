"""A body that inflates to 20 MB."""

from tests.hostile.attack import Attack, coded, ends, gzip_bomb

ATTACK = Attack(ends("protocol_error"), coded(b"gzip", gzip_bomb(20_000_000)))
