"""Content-Encoding, undone piece by piece: each decoded byte keeps the arrival time of the read that freed it."""

import zlib
from typing import Final, Protocol

from harness.errors import LimitExceeded

MAX_DECODED_BYTES: Final = 256 * 1024 * 1024
SUPPORTED: Final = ("gzip", "deflate")


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """The bytes that `data` completes. Raises ValueError on data that is not in this coding."""
        ...


class Identity:
    def feed(self, data: bytes) -> bytes:
        return data


class Zlib:
    """gzip and deflate; bounded, because a few kilobytes can inflate to gigabytes.

    A gzip body may be several members in a row (RFC 1952 section 2.2), each ended to flush it.
    """

    def __init__(self, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self._inflate = _inflater()
        self._left = max_bytes
        self._max = max_bytes

    def feed(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while data:
            if self._inflate.eof:
                self._inflate = _inflater()
            try:
                out = self._inflate.decompress(data, self._left + 1)
            except zlib.error as error:
                raise ValueError(f"the body is not valid gzip or deflate data ({error})") from None
            if len(out) > self._left:
                raise LimitExceeded(f"the compressed body inflates to more than {self._max:,} bytes")
            self._left -= len(out)
            parts.append(out)
            data = self._inflate.unused_data
        return b"".join(parts)


def _inflater() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: the header says whether gzip or zlib


def decoder_for(content_encoding: str | None) -> Decoder:
    """The decoder for a Content-Encoding value. Raises ValueError on a coding that cannot be undone."""
    coding = (content_encoding or "identity").strip().lower()
    if coding in ("", "identity"):
        return Identity()
    if coding in ("gzip", "x-gzip", "deflate"):
        return Zlib()
    raise ValueError(f"Content-Encoding {coding!r} cannot be decoded (supported: {', '.join(SUPPORTED)})")
