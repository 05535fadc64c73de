"""A zstd body that inflates to 20 MB."""

import zstandard

from tests.hostile.attack import TOKEN, Attack, coded, ends

ATTACK = Attack(ends("protocol_error"), coded(b"zstd", zstandard.compress(TOKEN + b"\n" * 20_000_000)))
