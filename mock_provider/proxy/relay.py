"""The two sides of the proxy: requests go upstream unchanged, answers come back through a `Holder`.

Each request gets its own connection to the upstream. A client's FIN becomes a FIN upstream, an RST an RST, at once.
"""

import asyncio
import time
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from streamgauge.mock_provider.client_wait import ClientWait, enforce_timeouts, too_slow
from streamgauge.mock_provider.closing import close_with_fin, reset_connection
from streamgauge.mock_provider.http import LAST_CHUNK, Reply, Request, chunk, head_bytes, json_reply
from streamgauge.mock_provider.listening import BACKLOG
from streamgauge.mock_provider.proxy import forward
from streamgauge.mock_provider.proxy.comments import CommentFilter
from streamgauge.mock_provider.proxy.config import BODYLESS, ProxyConfig
from streamgauge.mock_provider.proxy.holding import Holder
from streamgauge.mock_provider.proxy.narrow import SpacedData, WholeEvents
from streamgauge.mock_provider.request_reader import HEAD_LIMIT, RequestReader

ERROR_EVENT = b'event: error\ndata: {"error":{"code":"upstream_failed","message":"the upstream broke off"}}\n\n'
CONNECT_S = 10.0  # the longest wait for a connection to the upstream


class Reader(Protocol):
    """Reads an event stream in pieces."""

    def feed(self, data: bytes) -> bytes:
        """The bytes that are forwarded now."""

    def finish(self) -> bytes:
        """The bytes that are forwarded at the end."""


class Proxy:
    """The listening side; `start` and `stop` belong to one event loop."""

    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        self.connections: set[ClientSide] = set()
        self.upstreams: set[UpstreamSide] = set()
        self._listener: asyncio.Server | None = None
        self._timeouts: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen, and return the base URL. OSError if the port cannot be bound."""
        loop, config = asyncio.get_running_loop(), self.config
        self._listener = await loop.create_server(lambda: ClientSide(self), config.host, config.port, backlog=BACKLOG)
        self._timeouts = loop.create_task(enforce_timeouts(lambda: self.connections, config.request_ns, config.idle_ns))
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and cut every connection."""
        if self._timeouts is not None:
            self._timeouts.cancel()
        if self._listener is not None:
            self._listener.close()
        for client in list(self.connections):
            client.transport.abort()
        for upstream in list(self.upstreams):
            upstream.transport.abort()
        await asyncio.sleep(0)


class ClientSide(asyncio.Protocol):
    """A client's connection; it answers one request at a time."""

    transport: asyncio.Transport

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self._reader = RequestReader(self._expects_continue)
        self._wait = ClientWait(self._reader)
        self._upstream: UpstreamSide | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._keep_alive = True
        self._head_only = False  # an answer to HEAD ends with its head
        self._retries = 0
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        # A cast, because uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._open = True
        self.proxy.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        refusal = self._reader.feed(data, time.time_ns())
        if refusal is not None:
            self._keep_alive = False
            if self._busy:  # an error reply cannot be sent in the middle of another answer
                self._leave(reset=False)
                self.finished(reusable=False)
            else:
                self.answer(refusal)
            return
        self._next()

    def eof_received(self) -> bool:
        """The client's FIN, which goes on to the upstream."""
        self._leave(reset=False)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        self._open = False
        self.proxy.connections.discard(self)
        self._leave(reset=isinstance(error, OSError))

    def pause_writing(self) -> None:
        """The client reads too slowly: stop reading the upstream."""
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Write to the client, if it is still connected."""
        if self._open:
            self.transport.write(data)

    def enforce_timeouts(self, now_ns: int, request_ns: int, idle_ns: int) -> None:
        """Enforce the timeouts of requests and of idle connections; called periodically."""
        if self._open and self._busy:
            return
        exceeded = self._wait.exceeded(now_ns, request_ns, idle_ns)
        if exceeded is not None and not self._open:  # the client does not read the end of its answer
            self.transport.abort()
        elif exceeded is not None:
            self._keep_alive = False
            if exceeded == "request":
                self.answer(too_slow(request_ns))
            else:
                self.finished(reusable=False)

    def finished(self, *, reusable: bool, reset: bool = False) -> None:
        """The answer has ended; after a broken answer this connection breaks in the same way."""
        self._upstream = None
        if not self._open:
            return
        self._wait.begin()
        if reset:
            self._open = False
            reset_connection(self.transport)
        elif reusable and self._keep_alive:
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self._open = False
            self.transport.close()

    def _leave(self, *, reset: bool) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.client_left(reset=reset)

    def _next(self) -> None:
        if not self._open or self._busy or (request := self._reader.take()) is None:
            return
        self._keep_alive, self._head_only = request.keep_alive, request.method == "HEAD"
        if (refusal := forward.refusal(request, self.proxy.config)) is not None:
            self.answer(refusal)
            return
        self._retries = 0
        self._connecting = asyncio.get_running_loop().create_task(self._forward(request))

    @property
    def _busy(self) -> bool:
        """Whether a request is being forwarded or answered."""
        return self._upstream is not None or self._connecting is not None

    def _expects_continue(self) -> None:
        if not self._busy:  # else the line would stand in the middle of another answer
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def again(self, request: Request) -> bool:
        """Send the request again, if retries are left; returns whether it does."""
        if not self._open or self._retries >= self.proxy.config.retries:
            return False
        self._retries += 1
        self._upstream = None
        self._connecting = asyncio.get_running_loop().create_task(self._forward(request))
        return True

    async def _forward(self, request: Request) -> None:
        config = self.proxy.config
        parts = urlsplit(config.upstream)
        host = parts.hostname or ""  # never empty: the config checks it
        try:
            async with asyncio.timeout(CONNECT_S):
                _, upstream = await asyncio.get_running_loop().create_connection(
                    lambda: UpstreamSide(self, request), host, parts.port or 80
                )
        except OSError as error:
            why = str(error) or f"no connection within {CONNECT_S:g} s"
            self.answer(_error(502, f"the upstream {config.upstream} cannot be reached: {why}"))
            return
        finally:
            self._connecting = None
        self._upstream = upstream
        upstream.transport.write(forward.to_upstream(request, config))

    def answer(self, reply: Reply) -> None:
        """Answer with a reply of the proxy itself, in place of one from the upstream."""
        fields = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            ("Via", forward.VIA),
        ]
        if not self._keep_alive:
            fields.append(("Connection", "close"))
        head = head_bytes(reply.status, fields)
        self.write(head if self._head_only else head + reply.body)
        self.finished(reusable=True)


class UpstreamSide(asyncio.Protocol):
    """The upstream's connection: one answer on its way to the client."""

    transport: asyncio.Transport

    def __init__(self, client: ClientSide, request: Request) -> None:
        self._client: ClientSide | None = client
        self._proxy = client.proxy
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._head_size = 0  # bytes of all fields so far
        self._bytes_aside = 0  # of reads since the last head or piece of a body: see RequestReader
        self._chunked = False
        self._complete = False
        self._holder: Holder | None = None
        self._reader: Reader | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ceiling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected to the upstream."""
        # A cast, because uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._proxy.upstreams.add(self)
        if (cut_ms := self._proxy.config.cut_after_ms) is not None:
            loop = asyncio.get_running_loop()
            self._ceiling = loop.call_later(cut_ms / 1_000, lambda: self._break(reset=False))
        self._heard()

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        self._heard()
        self._bytes_aside += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break(reset=False)
            return
        if self._bytes_aside > HEAD_LIMIT:
            self._break(reset=False)

    def connection_lost(self, error: Exception | None) -> None:
        """The upstream has closed. It ends a body without a length, and breaks any other body."""
        self._proxy.upstreams.discard(self)
        for timer in (self._idle, self._ceiling):
            if timer is not None:
                timer.cancel()
        if self._complete:
            return
        if self._ends_with_connection() and error is None:
            self.on_message_complete()
        else:
            self._break(reset=error is not None)

    def client_left(self, *, reset: bool) -> None:
        """The client has left: close the upstream the same way, unless --ignore-abort is set."""
        self._client = None
        if self._holder is not None:
            self._holder.discard()
        if self._proxy.config.ignore_abort:
            self.transport.resume_reading()
            return
        if reset:
            reset_connection(self.transport)
        else:
            close_with_fin(self.transport)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of a head or of the trailer."""
        self._head_size += len(name) + len(value)
        if self._head_size > HEAD_LIMIT:
            raise ValueError(f"the upstream's fields have more than {HEAD_LIMIT} bytes")  # makes llhttp stop
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Forward the head at once; only bodies are held back."""
        self._bytes_aside = 0
        status = self._parser.get_status_code()
        if status < 200:  # an interim response, which is not forwarded
            self._headers = []
            return
        if (status == 429 or status >= 500) and self._client is not None and self._client.again(self._request):
            self._client, self._complete = None, True
            self.transport.abort()
            return
        fields = {name.lower(): value for name, value in self._headers}
        config = self._proxy.config
        compress = config.gzip_no_flush and self._request.accepts_gzip() and "content-encoding" not in fields
        if fields.get("content-type", "").startswith("text/event-stream"):
            self._reader = _reader(config)
        changed = compress or self._reader is not None
        has_length = "content-length" in fields and not changed
        bodyless = status in BODYLESS or self._request.method == "HEAD"
        self._chunked = not has_length and not bodyless and self._request.http_version == "1.1"
        self._reusable = has_length or self._chunked or bodyless
        self._holder = Holder(config, self._write, compress=compress)
        headers = self._end_to_end_fields(keep_length=not changed and status != 204)  # RFC 9110 section 8.6
        if status >= 400 and config.errors_as is not None:
            status = config.errors_as
            headers = [field for field in headers if field[0].lower() != "retry-after"]
        if compress:
            headers.append(("Content-Encoding", "gzip"))
        if self._chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        if not self._request.keep_alive or not self._reusable:
            headers.append(("Connection", "close"))
        if self._client is not None:
            self._client.write(head_bytes(status, headers))
        if self._request.method == "HEAD":
            self.on_message_complete()

    def _end_to_end_fields(self, *, keep_length: bool) -> list[tuple[str, str]]:
        """The upstream's fields without those of its connection, without its length if the body changes, plus Via."""
        named = ",".join(value for name, value in self._headers if name.lower() == "connection")
        dropped = set(forward.connection_fields(named))
        if self._proxy.config.strip_accel:
            dropped.add("x-accel-buffering")
        if not keep_length:
            dropped.add("content-length")
        return [*(pair for pair in self._headers if pair[0].lower() not in dropped), ("Via", forward.VIA)]

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._bytes_aside = 0
        if self._reader is not None:
            body = self._reader.feed(body)
        if self._holder is not None and self._client is not None and body:
            self._holder.feed(body)

    def on_message_complete(self) -> None:
        """The end of the answer."""
        if self._complete or self._holder is None:
            return
        self._complete = True
        if self._client is not None:
            if self._reader is not None and (rest := self._reader.finish()):
                self._holder.feed(rest)
            self._holder.finish()
            if self._chunked:
                self._client.write(LAST_CHUNK)
            self._client.finished(reusable=self._reusable)
            self._client = None
        self.transport.close()

    def _heard(self) -> None:
        """The upstream has sent something: restart the timer of --cut-idle-ms."""
        cut_ms = self._proxy.config.cut_idle_ms
        if cut_ms is None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(cut_ms / 1_000, lambda: self._break(reset=False))

    def _write(self, data: bytes) -> None:
        if self._client is not None and data:
            self._client.write(chunk(data) if self._chunked else data)

    def _ends_with_connection(self) -> bool:
        names = {name.lower() for name, _ in self._headers}
        return self._holder is not None and not names & {"content-length", "transfer-encoding"}

    def _break(self, *, reset: bool) -> None:
        self._complete = True
        client, self._client = self._client, None
        self.transport.abort()
        if self._holder is not None:
            self._holder.discard()
        if client is None:
            return
        on_break = self._proxy.config.on_break
        if self._holder is None:
            client.answer(_error(502, "the upstream closed without an answer"))
        elif on_break != "cut" and self._chunked:
            client.write(chunk(ERROR_EVENT if on_break == "glued" else b"\n\n" + ERROR_EVENT) + LAST_CHUNK)
            client.finished(reusable=True)
        else:
            client.finished(reusable=False, reset=reset)


def _reader(config: ProxyConfig) -> Reader | None:
    """How the proxy reads event streams; None where it passes bytes on."""
    if config.strip_heartbeats:
        return CommentFilter()
    if config.whole_events:
        return WholeEvents()
    return SpacedData() if config.spaced_data else None


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"error": {"message": message}})
