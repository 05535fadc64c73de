"""HTTP/1.1 over the harness's own socket, under httpx's API: every read is kept with its kernel arrival stamp.

httpx's own transport does not show reads: an item of its `iter_raw()` is neither a read nor an HTTP chunk. It also
costs 10 to 20 times the CPU of a bare socket per token, so a client at 50 streams of 50 tokens/s on one core measures
its own queue: a TTFT of 570 ms for a true 200. Here the work per read is recvmsg, append, llhttp. httpx still makes
requests, headers, authentication and the TLS configuration. A transport belongs to one thread or greenlet.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from streamgauge.transport import stamps
from streamgauge.transport.blocking import Blocking
from streamgauge.transport.connection import Connection, left_of
from streamgauge.transport.connector import Connector, Origin, closing_on_error, connect_failure, earlier
from streamgauge.transport.exchange import Driver, Exchange, Limits, Wants, raise_for_end
from streamgauge.transport.exchange_state import Actor, ExchangeState
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.transport.parsing import Parser, parse_reads
from streamgauge.transport.proxies import Proxy
from streamgauge.transport.request import PreparedRequest
from streamgauge.transport.timings import Timings
from streamgauge.wire import Arrivals, Capture


class CaptureTransport(httpx.BaseTransport):
    """The transport. A caller that needs the Capture even of a failed exchange passes it in `extensions`.

    `parser` makes the parser of a response.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        connector: Connector | None = None,
        driver: Driver | None = None,
        parser: Callable[[ExchangeState], Parser] = ResponseParser,
    ) -> None:
        self._connector = connector or Connector(tls)
        self._driver = driver or Blocking()
        self._parser = parser
        self._idle: dict[Origin, list[Connection]] = {}
        stamps.prime()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        prepared = PreparedRequest.of_httpx(request)
        exchange = self.begin(prepared, request.extensions.get("capture") or Capture(0))
        capture = exchange.capture
        try:
            exchange.read_until(Wants.HEAD)
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

    def begin(self, prepared: PreparedRequest, capture: Capture) -> Exchange:
        """Send a request. Raises httpx's transport errors when it could not be sent."""
        to, deadline_s = prepared.to, prepared.deadline_s
        state = ExchangeState(capture)
        state.begin(prepared.method, to.text, time.time_ns())
        pool = self._idle.setdefault(to.origin, [])
        proxy: Proxy | None = None
        try:
            proxy = self._connector.proxy_for(to.url)
            connection = self._reuse(pool)
            with closing_on_error(connection):
                payload, parser = self._prepare(prepared, proxy, connection, state)
            if connection is None:
                connection = self._connect(to.origin, state, proxy, prepared.connect_timeout_s, deadline_s)
                self._connected(connection, parser)
            state.connected_to(connection.peer)
            with closing_on_error(connection):
                connection.settimeout(left_of(earlier(prepared.write_timeout_s, deadline_s)))
                connection.send(payload)
        except (OSError, UnicodeError) as error:
            raise self._failed(error, state, to.origin, proxy) from error
        state.sent(time.time_ns())
        return Exchange(connection, state, parser, self._driver, limits_of(prepared), pool)

    def _failed(
        self, error: OSError | UnicodeError, state: ExchangeState, origin: Origin, proxy: Proxy | None
    ) -> httpx.TransportError:
        """End an exchange whose request could not be sent. Returns what to raise."""
        failure = connect_failure(error, origin, proxy, self._connector.unix_socket)
        state.end(failure.end, failure.detail, Actor.CONNECTOR)
        state.ended_at(time.time_ns())
        return failure.error

    def _connect(
        self,
        origin: Origin,
        state: ExchangeState,
        proxy: Proxy | None,
        timeout_s: float | None,
        deadline_s: float | None,
    ) -> Connection:
        timings = Timings()
        try:
            return self._connector.connect(origin, timings, proxy, timeout_s, deadline_s)
        finally:
            state.opened(timings)

    def close(self) -> None:
        """Close the idle connections."""
        for pool in self._idle.values():
            for connection in pool:
                connection.close()
        self._idle.clear()

    def _reuse(self, pool: list[Connection]) -> Connection | None:
        while pool:
            connection = pool.pop()
            if self._is_open(connection):
                return connection
            connection.close()
        return None

    # The three methods that HTTP/2 overrides.

    def _prepare(
        self,
        prepared: PreparedRequest,
        proxy: Proxy | None,
        connection: Connection | None,
        state: ExchangeState,
    ) -> tuple[bytes, Parser]:
        """The bytes of the request, on that connection or a new one, and the parser for its response. The exchange
        starts when they are ready: the time that preparing took is not the endpoint's.

        A request to a proxy has its target in absolute form (RFC 9112 section 3.2.2), unless it goes through a tunnel.
        """
        url, target = prepared.to.url, prepared.to.target
        fields = [name + b": " + value for name, value in prepared.fields]
        if proxy is not None and url.scheme == "http":
            target = b"http://" + url.netloc + target
            fields += proxy.fields
        line = b"%b %b HTTP/%b" % (prepared.method.encode("ascii"), target, prepared.http_version.encode("ascii"))
        request = b"\r\n".join([line, *fields]) + b"\r\n\r\n" + prepared.body
        parser = self._parser(state)
        state.prepared(request, time.time_ns(), reused=connection is not None)
        return request, parser

    def _connected(self, connection: Connection, parser: Parser) -> None:
        """Called with a new connection and the parser of its first request."""

    def _is_open(self, connection: Connection) -> bool:
        """Whether a kept connection can be used again."""
        return connection.idle


def limits_of(prepared: PreparedRequest) -> Limits:
    """The limits of a response whose request has just been sent."""
    leave = None
    if prepared.leave_after is not None:
        after_s, how = prepared.leave_after
        leave = time.monotonic() + after_s, how
    return Limits(prepared.read_timeout_s, prepared.deadline_s, leave)


def unpacked(capture: Capture, arrivals: Arrivals) -> Capture:
    """The whole capture of a response that a fast path has taken from these reads."""
    whole = replace(capture, head=None, head_read=None, framing=None, end=None, reads=[], body=[])
    state = ExchangeState(whole)
    parse_reads(ResponseParser(state), state, arrivals.pairs())
    return whole
