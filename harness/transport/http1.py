"""HTTP/1.1 over a socket that is ours, under httpx's API: every read is kept with its kernel arrival stamp.

httpx's own transport cannot tell reads from chunks (httpcore drops the boundaries), and costs several times more CPU a
token; a client that busy measures its own queue. Here the loop per read is: recvmsg, append, llhttp. Requests, headers,
authentication and TLS configuration stay httpx's. One transport belongs to one thread or greenlet.
"""

import ssl
import time

import httpx

from harness.transport import stamps
from harness.transport.connecting import Connector, Origin, closing_on_error, connect_error, earlier, origin_of
from harness.transport.connection import Connection, left_of
from harness.transport.exchange import Exchange, Watch, raise_for_end
from harness.transport.parser import ResponseParser
from harness.transport.proxies import Proxy
from harness.wire import Capture


class CaptureTransport(httpx.BaseTransport):
    """The transport. A caller that wants the Capture of a failed exchange too passes one as `extensions["capture"]`."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, connector: Connector | None = None, watch: Watch | None = None
    ) -> None:
        self._connector = connector or Connector(tls)
        self._watch = watch
        self._idle: dict[Origin, list[Connection]] = {}
        stamps.prime()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        capture = request.extensions.get("capture") or Capture(0)
        version = request.extensions.get("http_version_asked", "1.1")
        timeout = request.extensions.get("timeout", {})
        deadline = request.extensions.get("deadline")
        capture.method = request.method
        capture.url = str(request.url)
        capture.start_ns = time.time_ns()
        origin = origin_of(request.url)
        pool = self._idle.setdefault(origin, [])
        proxy: Proxy | None = None
        try:
            proxy = self._connector.proxy_for(request.url)
            payload = capture.request = _request_bytes(request, version, proxy)
            connection = self._reuse(pool, capture) or self._connector.connect(
                origin, capture, proxy, timeout.get("connect"), deadline
            )
            with closing_on_error(connection):
                connection.settimeout(left_of(earlier(timeout.get("write"), deadline)))
                connection.send(payload)
        except (OSError, UnicodeError) as error:
            raise connect_error(error, origin, capture, proxy, self._connector.unix_socket) from error
        capture.sent_ns = time.time_ns()
        exchange = Exchange(connection, capture, ResponseParser(capture), timeout.get("read"), self._watch)
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
            raise_for_end(exchange.capture)
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


def _request_bytes(request: httpx.Request, version: str, proxy: Proxy | None) -> bytes:
    """The request as it goes out: httpx's headers in their order and case, the body whole.

    To a proxy the target is in absolute form (RFC 9112 section 3.2.2), unless it is tunnelled past it.
    """
    url, fields = request.url, [name + b": " + value for name, value in request.headers.raw]
    target = url.raw_path
    if proxy is not None and url.scheme == "http":
        target = b"http://" + url.netloc + target
        fields += proxy.fields
    head = [request.method.encode("ascii") + b" " + target + b" HTTP/" + version.encode("ascii"), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.read()
