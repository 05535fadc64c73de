"""HTTP/2 over the same connections and exchanges as HTTP/1.1: every read with its kernel stamp.

A token costs more CPU than over HTTP/1.1 (`make bench A=http2`): any read may be the end of a stream, so every read is
looked at. A client has one stream at a time. Its connection is kept for the next stream, also when a stream was reset.
For many streams at a time on one connection see http2_shared.py.
"""

import ssl
import time
from typing import Final
from weakref import WeakKeyDictionary

import h2.exceptions
import httpx

from streamgauge.transport.connection import Connection
from streamgauge.transport.connector import Connector
from streamgauge.transport.exchange import Driver
from streamgauge.transport.exchange_state import Actor, ExchangeState
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.transport.http2_parser import StreamParser
from streamgauge.transport.http2_session import Session
from streamgauge.transport.parsing import Parser
from streamgauge.transport.proxies import Proxy
from streamgauge.transport.request import PreparedRequest
from streamgauge.wire import End

# Fields that HTTP/2 forbids (RFC 9113 section 8.2.2), and Host, which becomes :authority.
_HOP_BY_HOP: Final = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_IDLE_READS: Final = 64  # a peer that sends even more between two streams is given up


class Http2Transport(CaptureTransport):
    """The transport, for peers that are known to speak HTTP/2 (RFC 9113 section 3.3, prior knowledge, or ALPN)."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, connector: Connector | None = None, driver: Driver | None = None
    ) -> None:
        super().__init__(connector=connector or Connector(tls, http2=True), driver=driver)
        self._sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()

    def _prepare(
        self,
        prepared: PreparedRequest,
        proxy: Proxy | None,  # noqa: ARG002 - the connection is a tunnel through it
        connection: Connection | None,
        state: ExchangeState,
    ) -> tuple[bytes, Parser]:
        session = Session() if connection is None else self._sessions[connection]
        request, fields = request_of(prepared)
        try:
            parser = StreamParser(state, session, fields, prepared.body)
        except h2.exceptions.ProtocolError as error:
            raise not_valid(error, state) from error
        payload = parser.outgoing()
        state.prepared(request, time.time_ns(), reused=connection is not None)
        return payload, parser

    def _connected(self, connection: Connection, parser: Parser) -> None:
        assert isinstance(parser, StreamParser)
        self._sessions[connection] = parser.session

    def _is_open(self, connection: Connection) -> bool:
        """Read what came between two streams. Unlike in HTTP/1.1, that may be harmless: a PING, or the rest of a stream
        that was reset.
        """
        session = self._sessions[connection]
        try:
            for _ in range(_IDLE_READS):
                if connection.idle:
                    return True
                data = connection.leftovers()
                if data is None or (data and not session.absorb(data)):
                    return False
                if connection.registration is not None:
                    # What its thread has not read yet comes before the next response, where it does no harm.
                    return session.usable
        except OSError:
            pass
        return False


def request_of(prepared: PreparedRequest) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The request as a capture shows it, and its fields with the pseudo-header fields (RFC 9113 section 8.3.1)."""
    to = prepared.to
    own = [(lower, value) for name, value in prepared.fields if (lower := name.lower()) not in _HOP_BY_HOP]
    request = b"\r\n".join([name + b": " + value for name, value in own]) + b"\r\n\r\n" + prepared.body
    authority = next((value for name, value in prepared.fields if name.lower() == b"host"), to.host)
    fields = [
        (b":method", prepared.method.encode("ascii")),
        (b":authority", authority),
        (b":scheme", to.url.raw_scheme),
        (b":path", to.target),
        *own,
    ]
    return request, fields


def not_valid(error: h2.exceptions.ProtocolError, state: ExchangeState) -> httpx.LocalProtocolError:
    """End an exchange whose request HTTP/2 does not allow. Returns what to raise."""
    detail = f"the request is not valid HTTP/2: {error}"
    state.end(End.MALFORMED, detail, Actor.CONNECTOR)
    return httpx.LocalProtocolError(detail)
