"""A forward proxy, as HTTP_PROXY and HTTPS_PROXY name one."""

import socket
import threading
from types import TracebackType
from typing import Self

from tests.builders.wire_server import PATIENCE_S


class ForwardProxy:
    """A forward proxy that knows one endpoint, whatever name is asked for. Use as a context manager."""

    def __init__(self, upstream_port: int, refusal: bytes = b"") -> None:
        self._upstream_port = upstream_port
        self._refusal = refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self.heads: list[bytes] = []

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._listener.close()

    def _spawn(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        got = b""
        with client, socket.create_connection(("127.0.0.1", self._upstream_port)) as upstream:
            while b"\r\n\r\n" not in got:
                got += client.recv(65536)
            self.heads.append(got)
            if self._refusal:
                client.sendall(self._refusal)
                return
            if got.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            else:
                upstream.sendall(got)
            back = threading.Thread(target=_pump, args=(upstream, client))
            back.start()
            _pump(client, upstream)
            back.join(PATIENCE_S)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
