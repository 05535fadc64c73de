"""Content-Encoding, undone piece by piece: each decoded byte keeps the arrival time of the read that freed it."""

import zlib
from collections.abc import Callable
from typing import Final, Protocol

import brotli
import zstandard

from streamgauge.errors import LimitExceeded

MAX_DECODED_BYTES: Final = 128 * 1024 * 1024
SUPPORTED: Final = ("gzip", "deflate", "br", "zstd")

# Every member of a gzip body that ends copies what follows it, so little may follow.
_ZLIB_PIECE: Final = 4096
# A block of zstd is at most 128 KB and can be written in 4 bytes (RFC 8878 section 3.1.1.2), and the library has no
# limit on what one call gives: so it gets little at a time, and goes past the limit by 2 MB at most.
_ZSTD_PIECE: Final = 64
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024  # what a server may use over HTTP (RFC 9659)


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """The bytes that `data` completes. Raises ValueError on data that is not in this coding."""
        ...


class Identity:
    def feed(self, data: bytes) -> bytes:
        return data


class _Budget:
    """What may still come out of a body: a few kilobytes can inflate to gigabytes."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self._max = max_bytes

    def spend(self, out: bytes) -> bytes:
        """The same bytes. Raises LimitExceeded when they are too many."""
        if len(out) > self.left:
            raise LimitExceeded(f"the compressed body inflates to more than {self._max:,} bytes")
        self.left -= len(out)
        return out


class Zlib:
    """gzip and deflate. A gzip body may be several members in a row (RFC 1952 section 2.2), each ended to flush it."""

    def __init__(self, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self._inflate = _inflater()
        self._budget = _Budget(max_bytes)

    def feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for at in range(0, len(data), _ZLIB_PIECE):
            piece = data[at : at + _ZLIB_PIECE]
            while piece:
                if self._inflate.eof:
                    self._inflate = _inflater()
                try:
                    out = self._inflate.decompress(piece, self._budget.left + 1)
                except zlib.error as error:
                    raise ValueError(f"the body is not valid gzip or deflate data ({error})") from None
                parts.append(self._budget.spend(out))
                piece = self._inflate.unused_data
        return b"".join(parts)


class Brotli:
    """br (RFC 7932): one stream, and nothing behind it."""

    def __init__(self, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self._stream = brotli.Decompressor()
        self._budget = _Budget(max_bytes)

    def feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        try:
            while data or not self._stream.can_accept_more_data():
                out = self._stream.process(data, output_buffer_limit=self._budget.left + 1)
                parts.append(self._budget.spend(out))
                data = b""
        except brotli.error as error:
            raise ValueError(f"the body is not valid br data ({error})") from None
        return b"".join(parts)


class Zstd:
    """zstd (RFC 8878): frames in a row, each at most as demanding as RFC 9659 allows over HTTP."""

    def __init__(self, max_bytes: int = MAX_DECODED_BYTES) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._stream = decompressor.decompressobj(read_across_frames=True)
        self._budget = _Budget(max_bytes)

    def feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        try:
            for at in range(0, len(data), _ZSTD_PIECE):
                parts.append(self._budget.spend(self._stream.decompress(data[at : at + _ZSTD_PIECE])))
        except zstandard.ZstdError as error:
            raise ValueError(f"the body is not valid zstd data ({error})") from None
        return b"".join(parts)


def _inflater() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: the header says whether gzip or zlib


def decoder_for(content_encoding: str | None, max_bytes: int = MAX_DECODED_BYTES) -> Decoder:
    """The decoder for a Content-Encoding value; it gives `max_bytes` at most.

    Raises ValueError on a coding that cannot be undone.
    """
    coding = (content_encoding or "identity").strip().lower()
    if coding not in _DECODERS:
        raise ValueError(f"Content-Encoding {coding!r} cannot be decoded (supported: {', '.join(SUPPORTED)})")
    return _DECODERS[coding](max_bytes)


_DECODERS: Final[dict[str, Callable[[int], Decoder]]] = {
    "": lambda _: Identity(),
    "identity": lambda _: Identity(),
    "gzip": Zlib,
    "x-gzip": Zlib,
    "deflate": Zlib,
    "br": Brotli,
    "zstd": Zstd,
}
