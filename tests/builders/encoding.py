"""Bodies compressed piece by piece, as a server does that flushes after each event."""

import zlib
from collections.abc import Callable
from typing import Any

import brotli
import zstandard

WBITS = {"gzip": 31, "deflate": 15}


def encoder(coding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """Compress and flush a piece; end the body."""
    if coding == "br":
        packer = brotli.Compressor(quality=5)
        return lambda data: packer.process(data) + packer.flush(), packer.finish
    if coding == "zstd":
        frame = zstandard.ZstdCompressor().compressobj()
        flush: Any = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return lambda data: frame.compress(data) + frame.flush(flush), frame.flush
    deflater = zlib.compressobj(wbits=WBITS[coding])
    return lambda data: deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH), deflater.flush
