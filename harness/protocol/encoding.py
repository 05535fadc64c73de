"""Content-Encoding, decoded piece by piece: each decoded byte has the arrival time of the read that completed it."""

import zlib
from collections.abc import Callable
from typing import Final, Protocol

import brotli
import zstandard

from streamgauge.errors import LimitExceeded

MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
SUPPORTED: Final = ("gzip", "deflate", "br", "zstd")

# When a gzip member ends, zlib copies all bytes behind it. In small pieces, many tiny members stay linear.
_ZLIB_PIECE: Final = 4096
# A zstd block of 4 bytes can decode to 128 KB (RFC 8878 section 3.1.1.2), and the library has no limit on the output of
# one call. With pieces of 64 bytes the output exceeds the limit by 2 MB at most.
_ZSTD_PIECE: Final = 64
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024  # the largest window that RFC 9659 allows over HTTP


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """The decoded bytes that `data` completes. Raises ValueError on data that is not in this coding."""
        ...


class Identity:
    def feed(self, data: bytes) -> bytes:
        return data


class _Budget:
    """The number of bytes that a body may still decode to: a few kilobytes can inflate to gigabytes."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self._max = max_bytes

    def spend(self, out: bytes) -> bytes:
        """Count `out` and return it. Raises LimitExceeded when the budget is spent."""
        if len(out) > self.left:
            raise LimitExceeded(f"the compressed body inflates to more than {self._max:,} bytes")
        self.left -= len(out)
        return out


class Zlib:
    """gzip and deflate. A gzip body may have several members (RFC 1952 section 2.2): some servers end one to flush."""

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
    """br (RFC 7932): one stream; bytes behind its end are an error."""

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
    """zstd (RFC 8878): any number of frames, each with a window of at most what RFC 9659 allows over HTTP."""

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
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # + 32: recognise gzip or zlib by the header


def decoder_for(content_encoding: str | None, max_bytes: int = MAX_DECODED_BYTES) -> Decoder:
    """The decoder for a Content-Encoding value, whose output is at most `max_bytes`.

    Raises ValueError on a coding that is not supported.
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
