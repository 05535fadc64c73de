"""HTTP/1.1 over a socket that is ours, under httpx's API: every read is kept with its kernel arrival stamp.

httpx's own transport cannot tell reads from chunks (httpcore drops the boundaries), and costs several times more CPU a
token; a client that busy measures its own queue. Here the loop per read is: recvmsg, append, llhttp. Requests, headers,
authentication and TLS configuration stay httpx's. One transport belongs to one thread or greenlet.
"""

import ssl
import time

import httpx

from streamgauge.transport import stamps
from streamgauge.transport.connection import Connection, left_of
from streamgauge.transport.connector import Connector, Origin, closing_on_error, connect_error, earlier
from streamgauge.transport.exchange import Exchange, Parser, Watch, raise_for_end
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.transport.proxies import Proxy
from streamgauge.transport.request import PreparedRequest
from streamgauge.wire import Capture


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
        asking = PreparedRequest.of_httpx(request)
        exchange = self.begin(asking, request.extensions.get("capture") or Capture(0))
        capture = exchange.capture
        try:
            exchange.read_head(asking.deadline_s)
        except BaseException:
            exchange.interrupt()
            raise
        head = capture.head
        if head is None:
            raise_for_end(capture)
            raise httpx.RemoteProtocolError("no response head")  # pragma: no cover - every end without a head raises
        return httpx.Response(
            head.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
            stream=exchange,
            extensions={"capture": capture, "exchange": exchange, "http_version": f"HTTP/{head.http_version}".encode()},
        )

    def begin(self, asking: PreparedRequest, capture: Capture) -> Exchange:
        """Send. Raises httpx's transport errors for a request that could not be."""
        to, deadline_s = asking.to, asking.deadline_s
        capture.method = asking.method
        capture.url = to.text
        capture.start_ns = time.time_ns()
        pool = self._idle.setdefault(to.origin, [])
        proxy: Proxy | None = None
        try:
            proxy = self._connector.proxy_for(to.url)
            connection = self._reuse(pool, capture)
            with closing_on_error(connection):
                payload, parser = self._prepare(asking, proxy, connection, capture)
            capture.start_ns = time.time_ns()  # what writing the request took is not the endpoint's
            if connection is None:
                connection = self._connector.connect(to.origin, capture, proxy, asking.connect_timeout_s, deadline_s)
                self._connected(connection, parser)
            with closing_on_error(connection):
                connection.settimeout(left_of(earlier(asking.write_timeout_s, deadline_s)))
                connection.send(payload)
        except (OSError, UnicodeError) as error:
            raise connect_error(error, to.origin, capture, proxy, self._connector.unix_socket) from error
        capture.sent_ns = time.time_ns()
        exchange = Exchange(connection, capture, parser, asking.read_timeout_s, self._watch)
        exchange.keep_in(pool)
        if asking.leave_after is not None:
            after_s, how = asking.leave_after
            exchange.leave_at(time.monotonic() + after_s, how)
        return exchange

    def close(self) -> None:
        """Close the idle connections."""
        for pool in self._idle.values():
            for connection in pool:
                connection.close()
        self._idle.clear()

    def _reuse(self, pool: list[Connection], capture: Capture) -> Connection | None:
        while pool:
            connection = pool.pop()
            if self._is_open(connection):
                capture.reused = True
                return connection
            connection.close()
        return None

    # What HTTP/2 does in another way.

    def _prepare(
        self,
        asking: PreparedRequest,
        proxy: Proxy | None,
        connection: Connection | None,  # noqa: ARG002 - HTTP/1.1 keeps nothing from one request to the next
        capture: Capture,
    ) -> tuple[bytes, Parser]:
        """The request as it goes out, on that connection or a new one, and what will read its answer.

        To a proxy the target is in absolute form (RFC 9112 section 3.2.2), unless it is tunnelled past it.
        """
        url, target = asking.to.url, asking.to.target
        fields = [name + b": " + value for name, value in asking.fields]
        if proxy is not None and url.scheme == "http":
            target = b"http://" + url.netloc + target
            fields += proxy.fields
        line = b"%b %b HTTP/%b" % (asking.method.encode("ascii"), target, asking.http_version.encode("ascii"))
        capture.request = b"\r\n".join([line, *fields]) + b"\r\n\r\n" + asking.body
        return capture.request, ResponseParser(capture)

    def _connected(self, connection: Connection, parser: Parser) -> None:
        """Whose request goes first over a new connection."""

    def _is_open(self, connection: Connection) -> bool:
        """Whether a kept connection can be used again."""
        return connection.idle
