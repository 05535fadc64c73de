"""The port of a mock, which can be closed for a while: then connections are refused, as by a server that is down."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

LONGEST_S = 60.0


class Idle(Protocol):
    """A connection, as the door sees it."""

    controls: bool

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""

    def close(self, *, reset: bool) -> None:
        """Close it."""


class Door:
    """Opens and closes the port. Running streams, and connections that ask the control API, go on."""

    def __init__(
        self, listen: Callable[[], Awaitable[asyncio.AbstractServer]], connections: Callable[[], Iterable[Idle]]
    ) -> None:
        self._listen, self._connections = listen, connections
        self._listener: asyncio.AbstractServer | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen; nothing happens where the port is open. OSError if the address cannot be bound."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        if self._listener is None:
            self._listener = await self._listen()

    def close(self) -> None:
        """Stop listening for good."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def refuse(self, seconds: float) -> None:
        """Refuse connections for so long, and close idle ones, so that a client's next request needs a new one."""
        self.close()
        for connection in list(self._connections()):
            if connection.idle and not connection.controls:
                connection.close(reset=False)
        self._reopening = asyncio.get_running_loop().call_later(seconds, self._reopen)

    def _reopen(self) -> None:
        async def reopen() -> None:
            with contextlib.suppress(OSError):  # another program has taken the port meanwhile
                await self.open()

        self._task = asyncio.get_running_loop().create_task(reopen())
