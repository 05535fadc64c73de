"""How long a server waits for a client that sends no request, or sends one slowly (slowloris)."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from streamgauge.mock_provider.http import Reply, json_reply
from streamgauge.mock_provider.request_reader import RequestReader

# Common defaults of servers; short enough that slowloris clients cannot hold many connections for long.
REQUEST_TIMEOUT = "30s"
IDLE_TIMEOUT = "75s"
_BATCH = 50  # connections that are looked at in one turn of the loop: running streams must not wait for thousands


class ClientWait:
    """The wait of one connection: for a request, for the rest of one, or for the client to take an answer's end."""

    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader
        self._since_ns = time.monotonic_ns()

    def begin(self) -> None:
        """An answer has ended, or the connection is being closed."""
        self._since_ns = time.monotonic_ns()

    def exceeded(self, now_ns: int, request_ns: int, idle_ns: int) -> Literal["request", "idle"] | None:
        """Which timeout has passed."""
        began_ns = self._reader.began_ns
        if began_ns is not None:
            return "request" if now_ns - max(began_ns, self._since_ns) > request_ns else None
        return "idle" if now_ns - self._since_ns > idle_ns else None


class Peer(Protocol):
    """A connection with timeouts."""

    def enforce_timeouts(self, now_ns: int, request_ns: int, idle_ns: int) -> None:
        """Close it if it has waited too long."""


async def enforce_timeouts(peers: Callable[[], Iterable[Peer]], request_ns: int, idle_ns: int) -> None:
    """Look at all connections again and again, until cancelled."""
    pause_s = max(min(1.0, request_ns / 2e9, idle_ns / 2e9), 0.01)
    while True:
        await asyncio.sleep(pause_s)
        now_ns = time.monotonic_ns()
        for number, peer in enumerate(list(peers())):
            peer.enforce_timeouts(now_ns, request_ns, idle_ns)
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)


def too_slow(request_ns: int) -> Reply:
    """The answer to a request that did not end in time."""
    return json_reply(408, {"error": {"message": f"the request was not complete after {request_ns / 1e9:g} s"}})
