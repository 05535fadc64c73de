"""A scripted HTTP/2 server, for what no real one does on demand."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

PATIENCE_S = 20.0

Script = Callable[["H2Server", int], None]


class H2Server:
    """Answers the requests of its connections, one connection at a time, by a script that holds their `h2` state.

    `path` is that of a Unix socket, `room` what the connection may send beyond the first window. Use as a context
    manager.
    """

    def __init__(
        self, script: Script, *, connections: int = 1, path: str | None = None, room: int = 0, **settings: int
    ) -> None:
        self._script = script
        self._connections = connections
        self._room = room
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self._thread = threading.Thread(target=self._accept)
        self._settings = {h2.settings.SettingCodes[name.upper()]: value for name, value in settings.items()}
        self._pending: deque[h2.events.Event] = deque()
        self.accepted = 0
        self.resets: list[int] = []
        self.bodies: dict[int, bytes] = {}
        self.pings: list[bytes] = []
        self.room_ns: list[int] = []  # before it gave room for more of a body

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(PATIENCE_S)
        self._listener.close()

    def flush(self) -> None:
        """Send what `h2` has made ready."""
        self._sock.sendall(self.h2.data_to_send())

    def send(self, data: bytes) -> None:
        """Send bytes past `h2`."""
        self._sock.sendall(data)

    def hang_up(self) -> None:
        """Close this side, in order."""
        self._sock.shutdown(socket.SHUT_WR)

    def head(self, stream: int) -> None:
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        self.flush()

    def until(self, kind: type[h2.events.Event]) -> None:
        """Read on until the client has said this, or has left; the script gets the rest later."""
        held: list[h2.events.Event] = []
        while (event := self._next()) is not None and not isinstance(event, kind):
            held.append(event)
        self._pending.extendleft(reversed(held))

    def _next(self) -> h2.events.Event | None:
        while not self._pending:
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            try:
                self._pending += self.h2.receive_data(data)
            except h2.exceptions.ProtocolError:  # what comes after its own GOAWAY
                self.h2.clear_outbound_data_buffer()  # a second one, for that
            with suppress(OSError):
                self.flush()
        event = self._pending.popleft()
        self._note(event)
        return event

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.StreamReset):
            self.resets.append(int(event.error_code or 0))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings.append(event.ping_data or b"")
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + (event.data or b"")
            if event.flow_controlled_length:
                self.room_ns.append(time.time_ns())
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()

    def _accept(self) -> None:
        for _ in range(self._connections):
            self._sock, _ = self._listener.accept()
            self.accepted += 1
            self._sock.settimeout(PATIENCE_S)
            with self._sock:
                self._serve()

    def _serve(self) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self._settings)
        self._pending.clear()
        self.h2.initiate_connection()
        if self._room:
            self.h2.increment_flow_control_window(self._room)
        self.flush()
        while (event := self._next()) is not None:
            if isinstance(event, h2.events.StreamEnded):
                self._script(self, event.stream_id)
