"""A server of bare sockets that plays a script, written in the test, on each connection."""

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import NamedTuple, Self

PATIENCE_S = 20.0
"""How long anything is waited for before a test fails; no test passes by it."""


class Do(Enum):
    """Steps besides bytes (which are sent) and events (which are waited for)."""

    REQUEST = "read one request"
    SOMETHING = "read whatever comes first"
    CLOSE = "close orderly"
    RST = "close with a reset"
    FAREWELL = "read until the client leaves, and note how"
    NOTIFY_AND_SEND = "end TLS in the same segment as the bytes of the next step"
    FLOOD = "send until the client leaves, and note how"


class Pulse(NamedTuple):
    """A step: send these bytes every 20 ms until the client leaves."""

    data: bytes


Step = bytes | Do | threading.Event | Pulse


class WireServer:
    """Plays `scripts[n]` on the n-th connection, each in its own thread. Use as a context manager."""

    def __init__(self, *scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self._threads: list[threading.Thread] = []
        self._farewells: queue.Queue[str] = queue.Queue()
        self.requests: list[bytes] = []
        self.accepted = 0
        self.failures: list[BaseException] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/s?q=x"

    def farewell(self) -> str:
        """How the next client left: `fin` or `rst`."""
        return self._farewells.get(timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if error is None and self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._play, args=(sock, script))
            self._threads.append(thread)
            thread.start()

    def _play(self, sock: socket.socket, script: Sequence[Step]) -> None:
        try:
            if self._tls is not None:
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError:
                    return  # what the client made of it is for the test to see
            steps = iter(script)
            for step in steps:
                if step is Do.NOTIFY_AND_SEND:
                    step = next(steps)
                    assert isinstance(step, bytes)
                    assert isinstance(sock, ssl.SSLSocket)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    sock.sendall(step)
                    _notify(sock)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
                elif not self._step(sock, step):
                    return
        except (ConnectionResetError, BrokenPipeError) as error:
            # On a busy machine a client that leaves by time may reset the connection before this script notes how.
            if Do.FAREWELL in script:
                self._farewells.put("rst")
            else:
                self.failures.append(error)
        except BaseException as error:
            self.failures.append(error)
        finally:
            sock.close()

    def _step(self, sock: socket.socket, step: Step) -> bool:
        if isinstance(step, bytes):
            sock.sendall(step)
        elif isinstance(step, threading.Event):
            assert step.wait(PATIENCE_S), "the test never set the event"
        elif isinstance(step, Pulse):
            _pulse(sock, step.data)
        elif step is Do.REQUEST:
            self.requests.append(_request(sock))
        elif step is Do.SOMETHING:
            sock.recv(65536)
        elif step is Do.RST:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        elif step is Do.CLOSE:
            return False
        else:
            self._farewells.put(_farewell(sock, flood=step is Do.FLOOD))
        return True


def _notify(sock: ssl.SSLSocket) -> None:
    """Send close_notify and wait for nothing."""
    sock.settimeout(0)
    with suppress(OSError):  # SSLWantReadError among them: the answer is not waited for
        sock.unwrap()
    sock.settimeout(PATIENCE_S)


def _request(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        data = sock.recv(65536)
        assert data, f"the client left within its request: {got!r}"
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def _pulse(sock: socket.socket, data: bytes) -> None:
    gone = threading.Event()
    with suppress(ConnectionResetError, BrokenPipeError):
        while not gone.wait(0.02):
            sock.sendall(data)


def _farewell(sock: socket.socket, *, flood: bool) -> str:
    try:
        while flood:
            sock.sendall(b"data: x\n\n" * 7000)
        while sock.recv(65536):
            pass
    except (ConnectionResetError, BrokenPipeError):
        return "rst"
    return "fin"
