"""An endpoint that means harm: one attack on a port of its own."""

import socket
import ssl
import threading
import time
from functools import cache
from typing import Final

import trustme

from tests.builders.listening import Listening
from tests.hostile.attack import GOOD, H2_GOOD, Attack, Family

_HELD_S: Final = 120.0  # a connection that nobody closes


class HostileEndpoint(Listening):
    """The first `good` answers are `well`, which a client hopes for. `most_sent` is of one answer."""

    def __init__(self, attack: Attack, good: int = 0, well: bytes = GOOD) -> None:
        super().__init__()
        self.attack = attack
        self._well = well
        self.requests = 0
        self.most_sent = 0
        self._good = good
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        scheme = "https" if self.attack.family is Family.TLS else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v1/chat/completions"

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(_HELD_S)
        with self._lock:
            good = self.requests < self._good
            self.requests += 1
        if good:
            self._answer_well(connection)
            return
        connection.recv(65536)  # a ClientHello, an HTTP/2 preface, or a request
        self._attack(connection)

    def _answer_well(self, connection: socket.socket) -> None:
        if self.attack.family is Family.HTTP2:
            connection.recv(65536)
            connection.sendall(H2_GOOD)
            connection.recv(65536)
        elif self.attack.family is Family.TLS:
            with _server_context().wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(65536)
                encrypted.sendall(self._well)
        else:
            connection.recv(65536)
            connection.sendall(self._well)

    def _attack(self, connection: socket.socket) -> None:
        attack, sent = self.attack, len(self.attack.start)
        try:
            connection.sendall(attack.start)
            while attack.repeat:
                connection.sendall(attack.repeat)
                sent += len(attack.repeat)
                if attack.every_s:
                    time.sleep(attack.every_s)
            if attack.stays:
                while connection.recv(65536):
                    pass
        finally:
            self.most_sent = max(self.most_sent, sent)


@cache
def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context
