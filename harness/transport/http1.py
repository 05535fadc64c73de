"""HTTP/1.1 over a socket that is ours, under httpx's API: every read is kept with its kernel arrival stamp.

httpx's own transport cannot tell reads from chunks (httpcore drops the boundaries), and costs several times more CPU a
token; a client that busy measures its own queue. Here the loop per read is: recvmsg, append, llhttp. Requests, headers,
authentication and TLS configuration stay httpx's. One transport belongs to one thread or greenlet.
"""

import socket
import ssl
import time
from typing import Final

import httpx

from harness.transport import stamps
from harness.transport.connection import Connection
from harness.transport.exchange import Exchange, Watch
from harness.wire import Capture, End

DEFAULT_TIMEOUT_S: Final = 30.0


class CaptureTransport(httpx.BaseTransport):
    """The transport. A caller that wants the Capture of a failed exchange too passes one as `extensions["capture"]`."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, watch: Watch | None = None) -> None:
        self._tls = tls
        self._watch = watch
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        stamps.prime()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        capture = request.extensions.get("capture") or Capture(0)
        version = request.extensions.get("http_version_asked", "1.1")
        timeout = request.extensions.get("timeout", {})
        deadline = request.extensions.get("deadline")
        payload = _request_bytes(request, version)
        capture.method = request.method
        capture.url = str(request.url)
        capture.request = payload
        capture.start_ns = time.time_ns()
        origin = _origin(request.url)
        pool = self._idle.setdefault(origin, [])
        try:
            connection = self._reuse(pool, capture) or self._connect(origin, capture, timeout.get("connect"))
            connection.settimeout(timeout.get("write"))
            connection.send(payload)
        except (OSError, UnicodeError) as error:
            raise _connect_error(error, origin, capture) from error
        capture.sent_ns = time.time_ns()
        exchange = Exchange(connection, capture, timeout.get("read"), self._watch)
        exchange.keep_in(pool)
        if leave := request.extensions.get("leave_after"):
            exchange.leave_at(time.monotonic() + leave[0], leave[1])
        try:
            exchange.read_head(deadline)
        except BaseException:
            exchange.interrupt()
            raise
        head = capture.head
        if head is None:
            exchange.raise_for_end()
            raise httpx.RemoteProtocolError("no response head")  # pragma: no cover - every end without a head raises
        return httpx.Response(
            head.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
            stream=exchange,
            extensions={"capture": capture, "exchange": exchange, "http_version": f"HTTP/{head.http_version}".encode()},
        )

    def close(self) -> None:
        """Close the idle connections."""
        for pool in self._idle.values():
            for connection in pool:
                connection.close()
        self._idle.clear()

    def _reuse(self, pool: list[Connection], capture: Capture) -> Connection | None:
        while pool:
            connection = pool.pop()
            if connection.idle:
                capture.reused = True
                return connection
            connection.close()
        return None

    def _connect(self, origin: tuple[str, str, int], capture: Capture, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        began = time.monotonic_ns()
        sock = socket.create_connection((host, port), timeout=timeout_s)
        capture.connect_ns = time.monotonic_ns() - began
        capture.handshake_ns = stamps.handshake_ns(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamps.enable(sock)
        connection = Connection(sock)
        if scheme == "https":
            began = time.monotonic_ns()
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
            try:
                connection.start_tls(self._tls, host)
            except BaseException:
                connection.close()
                raise
            capture.tls_ns = time.monotonic_ns() - began
        return connection


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _request_bytes(request: httpx.Request, version: str) -> bytes:
    """The request as it goes out: httpx's headers in their order and case, the body whole."""
    head = [request.method.encode("ascii") + b" " + request.url.raw_path + b" HTTP/" + version.encode("ascii")]
    head += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.read()


def _connect_error(
    error: OSError | UnicodeError, origin: tuple[str, str, int], capture: Capture
) -> httpx.TransportError:
    """Map what a socket or TLS raised to httpx's exceptions, and note it in the capture."""
    where = f"{origin[1]}:{origin[2]}"
    capture.end_ns = time.time_ns()
    if isinstance(error, TimeoutError):
        capture.end = End.TIMEOUT
        capture.detail = f"no connection to {where} within the connect timeout"
        return httpx.ConnectTimeout(capture.detail)
    capture.end = End.RESET
    if isinstance(error, ssl.SSLCertVerificationError):
        capture.detail = f"the TLS certificate of {where} is not accepted: {error.verify_message}"
    elif isinstance(error, ssl.SSLError):
        capture.detail = f"TLS with {where} failed: {error.reason or error} (is it a plain-text port?)"
    elif isinstance(error, socket.gaierror):
        capture.detail = f"the host name {origin[1]!r} cannot be resolved: {error.strerror}"
    elif isinstance(error, UnicodeError):
        capture.detail = f"the host name {origin[1]!r} is not a valid one: {error}"
    else:
        capture.detail = f"cannot connect to {where}: {error.strerror or error}"
    return httpx.ConnectError(capture.detail)
