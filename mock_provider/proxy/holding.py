"""Holds the bytes of an answer back, as a buffering proxy does."""

import asyncio
import zlib
from collections.abc import Callable

from streamgauge.mock_provider.proxy.config import ProxyConfig

MOST_HELD = 64 * 1_048_576  # bytes of one answer; an upstream without an end must not fill the memory


class Holder:
    """Decides when bytes of a body are forwarded to `write`; above MOST_HELD they are forwarded in any case."""

    def __init__(self, config: ProxyConfig, write: Callable[[bytes], None], *, compress: bool) -> None:
        self._config = config
        self._write = write
        self._held = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._compressor = zlib.compressobj(wbits=31) if compress else None

    def feed(self, data: bytes) -> None:
        """One piece from the upstream."""
        if self._compressor is not None:
            data = self._compressor.compress(data)
        config = self._config
        if len(self._held) + len(data) > MOST_HELD:
            self._held += data
            self._flush()
        elif config.until_close:
            self._held += data
        elif config.one_behind:
            self._flush()
            self._held += data
        elif config.hold_bytes is None and config.hold_ms is None:
            self._write(data)
        else:
            self._held += data
            if config.hold_bytes is not None and len(self._held) >= config.hold_bytes:
                self._flush()
            elif config.hold_ms is not None and self._timer is None and self._held:
                self._timer = asyncio.get_running_loop().call_later(config.hold_ms / 1_000, self._flush)

    def finish(self) -> None:
        """The body is complete."""
        if self._compressor is not None:
            self._held += self._compressor.flush()
        self._flush()

    def discard(self) -> None:
        """Drop the bytes that are held: nobody reads them."""
        self._held.clear()
        self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data = bytes(self._held)
        self._held.clear()
        if data:
            self._write(data)
