"""Bytes to requests: llhttp parses, and three limits bound what one client can make this process hold in memory.

A request whose end two servers could see at different bytes is refused (request smuggling, RFC 9112 section 11.2).
llhttp refuses most of them; `_check_head` refuses the rest.
"""

import re
import time
from collections import deque
from collections.abc import Callable

import httptools

from streamgauge.mock_provider.http import Reply, Request, json_reply

HEAD_LIMIT = 65_536  # bytes of request line and header fields
BODY_LIMIT = 16 * 1_048_576  # bytes of the bodies that wait, the one being read included
PIPELINE_LIMIT = 16  # requests that wait behind a running one
_ONCE = ("host", "content-length", "transfer-encoding")
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%-]*(:[0-9]*)?|\[[0-9A-Za-z.:%_~-]+\](:[0-9]*)?")
_TARGET = re.compile(r"(/|https?://)[^#]*", re.IGNORECASE)


class RequestReader:
    """The requests of one connection, read whole and queued in order.

    `expects_continue` is called when a client waits for `100 Continue` before it sends a body (RFC 9110 section
    10.1.1), and no other request waits in the queue.
    """

    def __init__(self, expects_continue: Callable[[], None]) -> None:
        self.began_ns: int | None = None  # monotonic time of an incomplete request's first byte
        self._expects_continue = expects_continue
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._queued_bytes = 0
        self._arrival_ns = 0  # of the bytes that are being parsed
        # Of reads since the last progress. llhttp tells of a field only when its line has ended, so that a line without
        # an end would be kept, and copied again with each read.
        self._bytes_aside = 0
        self._refusal: Reply | None = None
        self._headers: dict[str, str]
        self._begin()

    def feed(self, data: bytes, arrival_ns: int) -> Reply | None:
        """Parse bytes that arrived at `arrival_ns` (epoch); the reply, if any, is an error that ends the connection."""
        self._arrival_ns = arrival_ns
        self._bytes_aside += len(data)
        try:
            while data:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._head_without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            if self._refusal is None:
                self._refusal = _refusal(400, f"not a valid HTTP request: {error}")
        if self._bytes_aside > HEAD_LIMIT and self._refusal is None:
            self._refusal = _refusal(431, f"a line of the request has more than {HEAD_LIMIT} bytes")
        return self._refusal

    def take(self) -> Request | None:
        """The oldest request that waits."""
        if not self._requests:
            return None
        request = self._requests.popleft()
        self._queued_bytes -= len(request.body)
        return request

    def clear(self) -> None:
        """Forget the requests that wait."""
        self._requests.clear()
        self._queued_bytes = 0

    # Called by llhttp

    def on_message_begin(self) -> None:
        """First byte of a request."""
        self._begin()
        self._bytes_aside = 0
        self.began_ns = time.monotonic_ns()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head. Trailer fields are dropped: they must not pass for fields of the head."""
        self._count(len(name) + len(value))
        if not self._in_trailer:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The blank line."""
        self._bytes_aside = 0
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if method == b"CONNECT":
            self._refuse(501, "this server opens no tunnels")
        if self._parser.should_upgrade():
            return  # the head comes again, see `_head_without_upgrade`
        self._in_trailer = True
        self._headers = {
            name.decode("latin-1").lower(): value.decode("latin-1").strip(" \t") for name, value in self._fields
        }
        self._check_head(method, version)
        # Behind a request that waits, the line would stand before that request's answer.
        if version == "1.1" and self._headers.get("expect", "").lower() == "100-continue" and not self._requests:
            self._expects_continue()

    def _check_head(self, method: bytes, version: str) -> None:
        """Refuse a head that leaves doubt about the end of the request, or about the server that is meant."""
        if version not in ("1.0", "1.1"):
            self._refuse(505, f"HTTP/{version} is not spoken here; use HTTP/1.1")
        if not _TARGET.fullmatch(self._target.decode("latin-1")) and (method, self._target) != (b"OPTIONS", b"*"):
            self._refuse(400, "request target: expected a path, or an http URL, without a fragment")
        names = [name.decode("latin-1").lower() for name, _ in self._fields]
        if (repeated := next((name for name in _ONCE if names.count(name) > 1), None)) is not None:
            self._refuse(400, f"more than one {repeated} field")
        host = self._headers.get("host")
        if version == "1.1" if host is None else not _HOST.fullmatch(host):  # RFC 9112 section 3.2
            self._refuse(400, "Host: expected one field with a host name or address, and perhaps a port")
        coding = self._headers.get("transfer-encoding")
        if coding is not None and version == "1.0":
            self._refuse(400, "Transfer-Encoding: HTTP/1.0 does not know it (RFC 9112 section 6.1)")
        if coding is not None and coding.lower() != "chunked":
            self._refuse(501, f"Transfer-Encoding: expected chunked, got {coding[:40]!r}")

    def _head_without_upgrade(self) -> bytes:
        """The head again for a fresh parser, without the field that asks for another protocol.

        This server switches to none (RFC 9110 section 7.8). But llhttp leaves a body to the other protocol, so that
        the body would be read as the next request.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        fields = b"".join(b"%b: %b\r\n" % field for field in self._fields if field[0].lower() != b"upgrade")
        self._parser = httptools.HttpRequestParser(self)
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._target, version, fields)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._bytes_aside = 0
        self._body += body
        if self._queued_bytes + len(self._body) > BODY_LIMIT:
            self._refuse(413, f"the body has more than {BODY_LIMIT} bytes")

    def on_message_complete(self) -> None:
        """The last byte of a request, whose arrival time is the request's."""
        if self._parser.should_upgrade():
            return
        if len(self._requests) >= PIPELINE_LIMIT:
            self._refuse(400, f"more than {PIPELINE_LIMIT} pipelined requests")
        self.began_ns = None
        self._queued_bytes += len(self._body)
        waited_ns = max(time.time_ns() - self._arrival_ns, 0)
        self._requests.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                target=self._target.decode("latin-1"),
                http_version=self._parser.get_http_version(),
                headers=self._headers,
                body=bytes(self._body),
                arrival_ns=self._arrival_ns,
                arrival_monotonic_ns=time.monotonic_ns() - waited_ns,
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def _begin(self) -> None:
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers = {}
        self._in_trailer = False
        self._body = bytearray()
        self._head_size = 0

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(431, f"the request head has more than {HEAD_LIMIT} bytes")

    def _refuse(self, status: int, message: str) -> None:
        self._refusal = _refusal(status, message)
        raise ValueError(message)  # makes llhttp stop


def _refusal(status: int, message: str) -> Reply:
    return json_reply(status, {"error": {"message": message}})
