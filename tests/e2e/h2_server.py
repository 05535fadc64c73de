"""nginx with HTTP/2 and TLS in front of the mock, and a scripted HTTP/2 server for what nginx never does."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

PATIENCE_S = 20.0

CONF = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  ssl_certificate {dir}/chain.pem; ssl_certificate_key {dir}/key.pem;
  ssl_client_certificate {dir}/ca.pem; ssl_verify_client optional;
  proxy_buffering off; proxy_http_version 1.1;
  server {{
    listen 127.0.0.1:{plain} http2; listen 127.0.0.1:{tls} ssl http2; listen 127.0.0.1:{old} ssl;
    location / {{ proxy_pass {upstream}; }}
    location /members {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }}
                         proxy_pass {upstream}/v1/chat/completions; }}
  }}
}}
"""

Script = Callable[["H2Server", int], None]


class H2Server:
    """Answers the requests of one connection by a script that holds its `h2` state. Use as a context manager."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self._thread = threading.Thread(target=self._serve)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.resets: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/chat/completions"

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

    def hang_up(self) -> None:
        """Close this side, in order."""
        self._sock.shutdown(socket.SHUT_WR)

    def head(self, stream: int) -> None:
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        self.flush()

    def _events(self, data: bytes) -> list[h2.events.Event]:
        try:
            return self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:  # what comes after its own GOAWAY
            self.h2.clear_outbound_data_buffer()  # a second one, for that
            return []

    def _received(self) -> bytes:
        try:
            return self._sock.recv(65536)
        except ConnectionResetError:
            return b""

    def _serve(self) -> None:
        self._sock, _ = self._listener.accept()
        self._sock.settimeout(PATIENCE_S)
        with self._sock:
            self.h2.initiate_connection()
            self.flush()
            while data := self._received():
                for event in self._events(data):
                    if isinstance(event, h2.events.StreamEnded):
                        self._script(self, event.stream_id)
                    elif isinstance(event, h2.events.StreamReset):
                        self.resets.append(int(event.error_code))
                with suppress(OSError):
                    self.flush()
