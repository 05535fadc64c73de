"""HTTP/2 over the connections and exchanges that HTTP/1.1 has: every read with its kernel stamp.

A token costs what it costs there, a stream some 0.15 ms more for its two heads (`make bench-paths`). One stream at a
time per client, on a connection that is kept for the next one, also when a stream was reset.
"""

import ssl
from typing import Final
from weakref import WeakKeyDictionary

import h2.exceptions
import httpx

from streamgauge.transport.connection import Connection
from streamgauge.transport.connector import Connector
from streamgauge.transport.exchange import Parser, Watch
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.transport.http2_parser import StreamParser
from streamgauge.transport.http2_session import Session
from streamgauge.transport.proxies import Proxy
from streamgauge.transport.request import PreparedRequest
from streamgauge.wire import Capture, End

# RFC 9113 section 8.2.2, and Host, which is :authority.
_HOP_BY_HOP: Final = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_IDLE_READS: Final = 64  # a peer that still sends as much is not waited out


class Http2Transport(CaptureTransport):
    """The transport, for connections of which it is known that the peer speaks HTTP/2."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, connector: Connector | None = None, watch: Watch | None = None
    ) -> None:
        super().__init__(connector=connector or Connector(tls, http2=True), watch=watch)
        self._sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()

    def _prepare(
        self,
        asking: PreparedRequest,
        proxy: Proxy | None,  # noqa: ARG002 - it is tunnelled through
        connection: Connection | None,
        capture: Capture,
    ) -> tuple[bytes, Parser]:
        session = Session() if connection is None else self._sessions[connection]
        to, own = asking.to, _fields(asking)
        capture.request = b"\r\n".join([name + b": " + value for name, value in own]) + b"\r\n\r\n" + asking.body
        authority = next((value for name, value in asking.fields if name.lower() == b"host"), to.host)
        fields = [
            (b":method", asking.method.encode("ascii")),
            (b":authority", authority),
            (b":scheme", to.url.raw_scheme),
            (b":path", to.target),
            *own,
        ]
        try:
            parser = StreamParser(capture, session, fields, asking.body)
        except h2.exceptions.ProtocolError as error:
            capture.end, capture.detail = End.MALFORMED, f"the request is not valid HTTP/2: {error}"
            raise httpx.LocalProtocolError(capture.detail) from error
        return parser.outgoing(), parser

    def _connected(self, connection: Connection, parser: Parser) -> None:
        assert isinstance(parser, StreamParser)
        self._sessions[connection] = parser.session

    def _is_open(self, connection: Connection) -> bool:
        """Other than in HTTP/1.1, what came in the meantime may be a PING, or the last of a stream that was reset."""
        session = self._sessions[connection]
        try:
            for _ in range(_IDLE_READS):
                if connection.idle:
                    return True
                connection.watched()
                arrival = connection.poll()
                if arrival is not None and not (arrival[0] and session.absorb(arrival[0])):
                    return False
        except OSError:
            pass
        return False


def _fields(asking: PreparedRequest) -> list[tuple[bytes, bytes]]:
    return [(lower, value) for name, value in asking.fields if (lower := name.lower()) not in _HOP_BY_HOP]
