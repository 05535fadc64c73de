"""Bytes to requests: llhttp parses, and three limits bound what one client can make this process hold in memory."""

import time
from collections import deque
from collections.abc import Callable

import httptools

from streamgauge.mock_provider.http import Reply, Request, json_reply

HEAD_LIMIT = 65_536  # bytes of request line and header fields
BODY_LIMIT = 16 * 1_048_576  # bytes of the bodies that wait, the one being read included
PIPELINE_LIMIT = 16  # requests that wait behind a running one


class RequestReader:
    """The requests of one connection, read whole and queued in order.

    `expects_continue` is called when a client waits for `100 Continue` before it sends a body (RFC 9110 section
    10.1.1).
    """

    def __init__(self, expects_continue: Callable[[], None]) -> None:
        self.began_ns: int | None = None  # monotonic time of an incomplete request's first byte
        self._expects_continue = expects_continue
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._queued_bytes = 0
        self._arrival_ns = 0  # of the bytes that are being parsed
        self._refusal: Reply | None = None
        self._begin()

    def feed(self, data: bytes, arrival_ns: int) -> Reply | None:
        """Parse bytes that arrived at `arrival_ns` (epoch); the reply, if any, is an error that ends the connection."""
        self._arrival_ns = arrival_ns
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # there is no protocol to upgrade to: the request is answered without the upgrade
        except httptools.HttpParserError as error:
            if self._refusal is None:
                self._refusal = json_reply(400, {"error": {"message": f"not a valid HTTP request: {error}"}})
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
        self.began_ns = time.monotonic_ns()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The blank line."""
        if self._headers.get("expect", "").lower() == "100-continue":
            self._expects_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += body
        if self._queued_bytes + len(self._body) > BODY_LIMIT:
            self._refuse(413, f"the body has more than {BODY_LIMIT} bytes")

    def on_message_complete(self) -> None:
        """The last byte of a request, whose arrival time is the request's."""
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
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_size = 0

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(431, f"the request head has more than {HEAD_LIMIT} bytes")

    def _refuse(self, status: int, message: str) -> None:
        self._refusal = json_reply(status, {"error": {"message": message}})
        raise ValueError(message)  # makes llhttp stop
