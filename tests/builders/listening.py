"""What the servers of bare sockets have in common: a port, and a thread for each connection."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Listening:
    """Serves each connection in a thread of its own, without waiting for its end. Use as a context manager."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def serve(self, connection: socket.socket) -> None:
        """What is done with a connection; an OSError ends it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.serve(connection)
