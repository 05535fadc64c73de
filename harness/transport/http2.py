"""HTTP/2 through httpcore, over connections that are ours: the same Capture, every read with its kernel arrival stamp.

httpcore gives the body frame by frame and asks for the next read only when no frame is left, so the last read is the
one that brought a piece. Three things it does not do are done here, without reaching into it: a deadline over several
reads, RST_STREAM when the client leaves (it would close nothing), and noticing a server that left an idle connection.
It costs more CPU a token than HTTP/1.1 here; the stamps keep the times right. One stream at a time per client.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import h2.errors
import h2.events
import h2.exceptions
import httpcore
import httpx

from harness.transport import stamps
from harness.transport.asking import Asking
from harness.transport.connecting import Connector, Origin, connect_error, earlier, origin_of
from harness.transport.connection import Close, Connection, left_of
from harness.transport.exchange import raise_for_end
from harness.transport.parser import MAX_BODY_BYTES, MAX_PIECES
from harness.transport.proxies import Proxy
from harness.wire import Capture, End, Framing, Head

_RST_STREAM: Final = 0x3  # RFC 9113 section 6.4
# Servers end a connection by GOAWAY after so many streams (nginx: 1,000), and httpcore gives up the last one with it.
_MAX_STREAMS: Final = 500
_HOP_BY_HOP: Final = frozenset({b"host", b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})


class _Stop(Exception):  # noqa: N818 - no error: the client's own time is over
    """Raised out of a read, through httpcore, at the deadline or when it is time to leave."""


class _Stream(httpcore.NetworkStream):
    """What httpcore reads from and writes to: a Connection that notes its reads in the capture of the moment."""

    def __init__(self, transport: "Http2Transport", connection: Connection, ends_s: float | None) -> None:
        self._transport = transport
        self._connect_ends_s = ends_s
        self.connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - a read is what had come
        exchange = self._transport.current
        assert exchange is not None, "httpcore reads only for a request"
        ends_s = exchange.ends_s
        try:
            self.connection.settimeout(left_of(earlier(timeout, ends_s)))
            data, read = self.connection.receive()
        except TimeoutError:
            if ends_s is not None and time.monotonic() >= ends_s:
                raise _Stop from None
            raise httpcore.ReadTimeout from None
        except OSError as error:
            raise httpcore.ReadError(error) from error
        capture = exchange.capture
        if data:
            capture.reads.append(read if len(data) == read.size else read._replace(size=len(data)))
            if capture.wire is not None:
                capture.wire.append(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        exchange = self._transport.current
        try:
            self.connection.settimeout(left_of(earlier(timeout, exchange.ends_s if exchange else None)))
            self.connection.send(buffer)
        except TimeoutError:
            raise httpcore.WriteTimeout from None
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        self.connection.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the time of the whole connecting is what counts
    ) -> httpcore.NetworkStream:
        # httpcore has just made it offer http/1.1 too, which would be taken for HTTP/2 afterwards.
        ssl_context.set_alpn_protocols(["h2"])
        transport = self._transport
        assert transport.current is not None
        connector, capture = transport.connector, transport.current.capture
        connector.start_tls(self.connection, server_hostname or "", capture, self._connect_ends_s, ssl_context)
        if self.connection.alpn != "h2":
            self.connection.close()
            raise ConnectionError("it does not offer HTTP/2 (ALPN has no h2): leave --http2 away")
        return self

    def get_extra_info(self, info: str) -> Any:
        return self.connection.tls if info == "ssl_object" else None


class _Backend(httpcore.NetworkBackend):
    """Opens connections for httpcore by our own way: look-up, proxies and Unix sockets included."""

    def __init__(self, transport: "Http2Transport") -> None:
        self._transport = transport

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the origin of the request is known
        port: int,  # noqa: ARG002
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return self._transport.connect(timeout)


class Http2Exchange(httpx.SyncByteStream):
    """The body of one response; the same to its users as `harness.transport.exchange.Exchange`."""

    def __init__(self, transport: "Http2Transport", capture: Capture, deadline_s: float | None) -> None:
        self.capture = capture
        self._transport = transport
        self._deadline_s = deadline_s
        self._leave: tuple[float, Close] | None = None
        self._response: httpcore.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._bytes = 0

    @property
    def ends_s(self) -> float | None:
        """When to stop reading, whatever comes, on the monotonic clock."""
        ends = [at for at in (self._deadline_s, self._leave[0] if self._leave else None) if at is not None]
        return min(ends, default=None)

    def begin(self, response: httpcore.Response) -> None:
        """The head has come."""
        capture = self.capture
        # What came before is the connection's own: SETTINGS and their acknowledgement are not part of an answer.
        del capture.reads[:-1]
        if capture.wire is not None:
            del capture.wire[:-1]
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
        capture.head = Head(response.status, "", "2", headers)
        capture.head_read = 0
        capture.framing = Framing.STREAM
        self._response = response
        self._pieces = iter(cast(Iterable[bytes], response.stream))

    def __iter__(self) -> Iterator[bytes]:
        given = 0
        while self.step() or given < len(self.capture.body):
            for _, data in self.capture.body[given:]:
                yield data
            given = len(self.capture.body)
        raise_for_end(self.capture)

    def step(self, deadline_s: float | None = None) -> bool:
        """Take one piece of the body; False when the response has ended, for whatever reason (see `capture.end`)."""
        capture = self.capture
        if capture.end is not None:
            return False
        self._deadline_s = deadline_s if deadline_s is not None else self._deadline_s
        ends_s = self.ends_s
        try:
            if ends_s is not None and time.monotonic() >= ends_s:
                raise _Stop
            piece = next(self._pieces)
        except StopIteration:
            self._end(End.COMPLETE, None)
            return False
        except BaseException as error:
            self.fail(error)
            return False
        self._bytes += len(piece)
        capture.body.append((len(capture.reads) - 1, piece))
        if self._bytes > MAX_BODY_BYTES or len(capture.body) > MAX_PIECES:
            self._end(End.TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES:,} bytes or {MAX_PIECES:,} pieces")
            return False
        return True

    def read_head(self, deadline_s: float | None = None) -> None:
        """See `Exchange.read_head`."""

    def drain(self, deadline_s: float | None = None) -> None:
        """Read to the end; `deadline_s` is on the monotonic clock."""
        while self.step(deadline_s):
            pass

    def leave(self, how: Close) -> None:
        """Close before the end: the stream alone, or the connection with it."""
        capture = self.capture
        if capture.end is None:
            capture.end = End.CANCELLED
            capture.detail = f"closed by the harness ({how.value.upper()})"
        if capture.end_ns is None:
            capture.end_ns = time.time_ns()
            self._transport.leave(how)

    def leave_at(self, when_s: float, how: Close) -> None:
        """Close at that time of the monotonic clock if the response has not ended by then, answered or not."""
        self._leave = (when_s, how)

    def interrupt(self) -> None:
        """The run ends here, not the stream."""
        if self.capture.end is None:
            self._end(End.INTERRUPTED, "the run ended before the stream did")

    def close(self) -> None:
        """httpx closes a response it is done with: so does a client of HTTP/2, without closing the connection."""
        if self.capture.end is None:
            self.leave(Close.RST_STREAM)

    def fail(self, error: BaseException) -> None:
        """Note how reading ended. Raises again what is not about the stream: an interruption, or a mistake of ours."""
        hint = "" if self.capture.head else " (does the endpoint speak HTTP/2 on this port?)"
        if isinstance(error, _Stop):
            if self._leave is not None and time.monotonic() >= self._leave[0]:
                self.leave(self._leave[1])
            else:
                self._end(End.TIMEOUT, "the stream was still running at the deadline")
        elif isinstance(error, httpcore.TimeoutException):
            what = "byte" if self.capture.head else "answer"
            self._end(End.TIMEOUT, f"no {what} came within the read timeout")
        elif isinstance(error, httpcore.RemoteProtocolError):
            end, detail = _ended_by(error.args[0] if error.args else None)
            self._end(end, detail + (hint if end in (End.CLOSED, End.MALFORMED) else ""))
        elif isinstance(error, ssl.SSLError):
            self._end(End.MALFORMED, f"TLS failed while reading: {error.reason or error}")
        elif isinstance(error, httpcore.NetworkError):
            cause = error.__cause__
            why = cause.strerror if isinstance(cause, OSError) else None
            self._end(End.RESET, f"the connection broke: {why or error}{hint}")
        elif isinstance(error, h2.exceptions.ProtocolError | httpcore.ProtocolError):
            self._end(End.MALFORMED, f"the answer is not valid HTTP/2: {error}{hint}")
        else:
            self.interrupt()
            raise error

    def _end(self, end: End, detail: str | None) -> None:
        capture = self.capture
        capture.end, capture.detail = end, detail
        if end is End.COMPLETE and capture.reads:
            capture.end_ns = capture.reads[-1].t_ns
            if self._response is not None:
                self._response.close()
        else:
            capture.end_ns = time.time_ns()
            self._transport.leave(Close.FIN)


class Http2Transport(httpx.BaseTransport):
    """One connection per client, kept while it is asked for one origin. Not for two threads or greenlets at once."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.current: Http2Exchange | None = None
        self._origin: Origin | None = None
        self._url = httpx.URL("")
        self._proxy: Proxy | None = None
        self._pool: httpcore.ConnectionPool | None = None
        self._connection: Connection | None = None
        self._streams = 0
        self._left = False
        stamps.prime()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        capture: Capture = request.extensions.get("capture") or Capture(0)
        timeout = request.extensions.get("timeout", {})
        deadline_s = request.extensions.get("deadline")
        self._url, self._proxy = request.url, None
        body = request.read()
        headers = [(name.lower(), value) for name, value in request.headers.raw if name.lower() not in _HOP_BY_HOP]
        host = request.headers["host"].encode("ascii")
        capture.method, capture.url = request.method, str(request.url)
        capture.request = b"\r\n".join([name + b": " + value for name, value in headers]) + b"\r\n\r\n" + body
        capture.start_ns = time.time_ns()
        origin = origin_of(request.url)
        self._make_ready(origin)
        assert self._pool is not None
        exchange = self.current = Http2Exchange(self, capture, deadline_s)
        leave = request.extensions.get("leave_after")

        def trace(event: str, info: dict[str, Any]) -> None:  # noqa: ARG001 - httpcore's signature
            if event == "http2.send_request_body.complete":
                capture.sent_ns = time.time_ns()
                if leave:
                    exchange.leave_at(time.monotonic() + leave[0], leave[1])

        self._streams += 1
        capture.reused = self._connection is not None
        try:
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=[(b"host", host), *headers],
                    content=body or None,
                    extensions={"timeout": timeout, "trace": trace},
                )
            )
        except (OSError, UnicodeError) as error:
            self._drop()
            if capture.sent_ns is None:
                raise connect_error(error, origin, capture, self._proxy, self.connector.unix_socket) from error
            exchange.fail(error)
        except BaseException as error:
            exchange.fail(error)
        else:
            exchange.begin(response)
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=exchange,
                extensions={"capture": capture, "exchange": exchange, "http_version": b"HTTP/2"},
            )
        capture.reads.clear()  # they were the connection's own, see `begin`
        if capture.wire is not None:
            capture.wire.clear()
        raise_for_end(exchange.capture)
        raise httpx.RemoteProtocolError("no response head")  # pragma: no cover - every end without a head raises

    def begin(self, asking: Asking, capture: Capture) -> Http2Exchange:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        timeout = {"connect": asking.connect_timeout_s, "read": asking.read_timeout_s, "write": asking.write_timeout_s}
        request = httpx.Request(
            asking.method,
            asking.to.url,
            headers=asking.fields,
            content=asking.body or None,
            extensions={"timeout": timeout, "deadline": asking.deadline_s, "leave_after": asking.leave_after},
        )
        request.extensions["capture"] = capture
        exchange: Http2Exchange = self.handle_request(request).extensions["exchange"]
        return exchange

    def connect(self, timeout_s: float | None) -> httpcore.NetworkStream:
        """For httpcore: the connection for the current request, before TLS."""
        assert self.current is not None
        assert self._origin is not None
        if self._connection is not None:  # httpcore gave the kept one up, at a GOAWAY that it read first
            self._connection.close()
            self._streams, self.current.capture.reused = 1, False
        ends_s = earlier(timeout_s, self.current.ends_s)
        self._proxy = self.connector.proxy_for(self._url)
        # A proxy that is not tunnelled would speak HTTP/1.1 itself.
        self._connection = self.connector.open(self._origin, self.current.capture, self._proxy, ends_s, tunnel=True)
        return _Stream(self, self._connection, ends_s)

    def leave(self, how: Close) -> None:
        """Leave the current stream: by RST_STREAM, after which the connection stays until the next request, or with
        the connection.
        """
        connection = self._connection
        if connection is None:
            return
        if how is Close.RST_STREAM:
            stream_id = 2 * self._streams - 1  # RFC 9113 section 5.1.1: a client's are odd, and httpcore skips none
            code = int(h2.errors.ErrorCodes.CANCEL)
            frame = (4).to_bytes(3, "big") + bytes([_RST_STREAM, 0]) + stream_id.to_bytes(4, "big")
            try:
                connection.settimeout(1.0)
                connection.send(frame + code.to_bytes(4, "big"))
            except OSError:
                self._drop()
            # httpcore knows nothing of it, so this connection takes no further stream.
            self._left = True
        else:
            connection.close(how)
            self._drop()

    def close(self) -> None:
        """Close the connection."""
        self._drop()

    def _make_ready(self, origin: Origin) -> None:
        if self._connection is not None and (
            self._left or origin != self._origin or self._streams >= _MAX_STREAMS or not self._connection.idle
        ):
            self._drop()
        if self._pool is None:
            self._origin, self._streams = origin, 0
            self._pool = httpcore.ConnectionPool(
                ssl_context=self.connector.tls if origin.scheme == "https" else None,
                http1=False,
                http2=True,
                network_backend=_Backend(self),
            )

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._pool, self._left = None, False
        if connection is not None:
            connection.close()


def _ended_by(event: object) -> tuple[End, str]:
    """What httpcore gives as the reason, in the words of RFC 9113."""
    if isinstance(event, h2.events.StreamReset):
        return End.RESET, f"the stream was reset by the server: {_name(event.error_code)} (RST_STREAM)"
    if isinstance(event, h2.events.ConnectionTerminated):
        return End.CLOSED, f"the server ended the connection: {_name(event.error_code)} (GOAWAY)"
    if event == "Server disconnected":
        return End.CLOSED, "the connection was closed before the end of the stream"
    return End.MALFORMED, f"the answer is not valid HTTP/2: {event}"


def _name(code: int | None) -> str:
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return f"error code {code}"
