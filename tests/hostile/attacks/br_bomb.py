"""A brotli body that inflates to 20 MB."""

import brotli

from tests.hostile.attack import TOKEN, Attack, coded, ends

ATTACK = Attack(ends("protocol_error"), coded(b"br", brotli.compress(TOKEN + b"\n" * 20_000_000, quality=1)))
