"""One gzip stream that inflates a thousandfold, without an end."""

import zlib

from tests.hostile.attack import TOKEN, coded, ends, flood

_BLOCKS = zlib.compressobj(9, zlib.DEFLATED, 31)

ATTACK = flood(
    ends("protocol_error"),
    coded(b"gzip", _BLOCKS.compress(TOKEN)),
    _BLOCKS.compress(b"\n" * 3_000_000) + _BLOCKS.flush(zlib.Z_FULL_FLUSH),
)
