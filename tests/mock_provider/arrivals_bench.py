"""A connection whose arrivals are read on an event loop that runs only when a test says so."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from streamgauge.mock_provider.arrivals import Arrivals, stamp
from streamgauge.mock_provider.loop import new_event_loop


class Reader(asyncio.Protocol):
    """Records the stamped bytes, and the bytes that the loop's own transport read before."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, int]] = []
        self.ends: list[OSError | None] = []
        self.unstamped: list[bytes] = []
        self.arrivals: Arrivals | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        assert Arrivals.possible(self.transport)
        self.arrivals = Arrivals(self.transport, lambda data, at: self.got.append((data, at)), self.ends.append)

    def data_received(self, data: bytes) -> None:
        self.unstamped.append(data)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        assert self.arrivals is not None
        self.arrivals.stop()


class Bench:
    """A loop that runs only in `until`, a client connected to it, and the reader of that connection."""

    def __init__(self) -> None:
        self.loop = new_event_loop()
        self.reader = Reader()
        self._server = self.loop.run_until_complete(self.loop.create_server(lambda: self.reader, "127.0.0.1", 0))
        for listener in self._server.sockets:
            stamp(listener)
        self.client = socket.create_connection(self._server.sockets[0].getsockname()[:2])

    def until(self, condition: Callable[[], Any]) -> None:
        """Run the loop until `condition` is true."""

        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(wait(), 10))

    def close(self) -> None:
        self.client.close()
        self.reader.transport.abort()
        self._server.close()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()
