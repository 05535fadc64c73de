"""One client connection: it reads requests, and answers them one at a time with bytes that nothing rewrites."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol, cast

from streamgauge.mock_provider.arrivals import READ_BYTES, Arrivals
from streamgauge.mock_provider.client_wait import ClientWait, too_slow
from streamgauge.mock_provider.closing import reset_connection
from streamgauge.mock_provider.http import LAST_CHUNK, Reply, Request, chunk, head_bytes, json_reply
from streamgauge.mock_provider.ledger import EndKind
from streamgauge.mock_provider.player import Player
from streamgauge.mock_provider.request_reader import RequestReader


class Service(Protocol):
    """The server that the connections belong to."""

    @property
    def connections(self) -> "set[Connection]":
        """The open connections."""

    def handle(self, request: Request, connection: "Connection") -> None:
        """Answer one request, now or in time."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.x with one client, and tells the running player when that client blocks or leaves."""

    read_bytes = READ_BYTES

    def __init__(self, service: Service, *, private: bool = False) -> None:
        self._service = service
        self.private = private  # the peer is another worker, see `workers`
        self.controls = False  # the peer asks the control API
        self._writable = asyncio.Event()
        self._reader = RequestReader(self._expects_continue)
        self._wait = ClientWait(self._reader)
        self._player: Player | None = None
        self._task: asyncio.Task[Any] | None = None
        self._request: Request | None = None  # the request being answered
        self._open = False
        self.blocked = False  # bytes are waiting, because the peer does not read
        self._eof = False
        self._arrivals: Arrivals | None = None
        self._read_error: OSError | None = None

    # Events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        # A cast, because uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        # A limit of 0: one queued byte counts as blocked, because the ledger's times must be those of real writes.
        self._tls = transport.get_extra_info("sslcontext") is not None
        # 1 for TLS, because uvloop's TLS pauses at the limit, not above it.
        self._transport.set_write_buffer_limits(high=1 if self._tls else 0, low=0)
        self._socket = transport.get_extra_info("socket")
        self._fd = self._socket.fileno()
        if self._socket.family == getattr(socket, "AF_UNIX", None):
            self.peer_host: str | None = None
        else:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = transport.get_extra_info("peername")  # None if the client has already left
            self.peer_host = str(peer[0]) if peer else ""
        self._open = True
        if Arrivals.possible(self._transport):
            self._arrivals = Arrivals(self._transport, self._received, self._ended, self.read_bytes)
        self._service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests without a kernel stamp (TLS, Unix sockets): they arrived now."""
        self._received(data, time.time_ns())

    def _received(self, data: bytes, arrival_ns: int) -> None:
        if not self._open:
            return
        refusal = self._reader.feed(data, arrival_ns)
        if refusal is not None:
            # A running stream is cut, because the next request on this connection cannot be found.
            if self._request is None:
                self._write_reply(refusal, head_only=False, keep_alive=False)
            self.close(reset=False)
            return
        self._next()

    def eof_received(self) -> bool:
        """The client's FIN. True keeps our side open for a stream that goes on."""
        self._eof = True
        if self._player is not None:
            self._player.disconnected("fin", gone=False)
        # TLS has no half-close in asyncio or uvloop: the transport closes.
        return not self._tls and (self._player is not None or self._task is not None)

    def _ended(self, error: OSError | None) -> None:
        if error is None:
            if not self.eof_received():
                self._transport.close()
        else:
            self._read_error = error
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed; an OSError means that the client sent an RST, not a FIN."""
        error = error or self._read_error
        self._open = False
        if self._arrivals is not None:
            self._arrivals.stop()
        self._service.connections.discard(self)
        self._writable.set()
        if self._task is not None:
            self._task.cancel()
        if self._player is not None:
            self._player.disconnected("rst" if isinstance(error, OSError) else "fin", gone=True)

    def pause_writing(self) -> None:
        """The kernel's send buffer is full."""
        self.blocked = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """The kernel takes bytes again."""
        self.blocked = False
        self._writable.set()
        if self._player is not None:
            self._player.resume()

    # Called by the server and the player

    @property
    def descriptor(self) -> int | None:
        """See `player.Outlet`."""
        return self._fd if self._open and not self._tls and not self.blocked else None

    def send(self, data: bytes) -> None:
        """Write now with one system call, past the transport's queue, unless bytes are already waiting there.

        uvloop collects the writes of one turn of the loop and merges them. That would lose the write boundaries, and
        the times in the ledger would be those of the queue. OSError when the peer has gone.
        """
        if not self._open:
            raise BrokenPipeError("the connection is closed")
        if not self._tls and not self.blocked:  # with a write limit of 0, blocked means that bytes are waiting
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._transport.write(data)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self._request is None

    def close(self, *, reset: bool) -> None:
        """Close with a FIN after the queued bytes, or with an RST that drops them."""
        if not self._open:
            return
        self._open = False
        self._wait.begin()
        if reset:
            reset_connection(self._transport)
        else:
            self._transport.close()

    def stop(self) -> None:
        """Cut the connection because the server stops."""
        if self._player is not None:
            self._player.stop()
        self._open = False
        self._transport.abort()

    def enforce_timeouts(self, now_ns: int, request_ns: int, idle_ns: int) -> None:
        """Enforce the timeouts of requests and of idle connections; called periodically."""
        if self._open and self._request is not None:
            return
        exceeded = self._wait.exceeded(now_ns, request_ns, idle_ns)
        if exceeded is not None and not self._open:  # the peer does not read the end of its answer
            self._transport.abort()
        elif exceeded is not None:
            if exceeded == "request":
                self._write_reply(too_slow(request_ns), head_only=False, keep_alive=False)
            self.close(reset=False)

    def drain(self) -> None:
        """Take no more requests, and close now or after the running answer."""
        self._reader.clear()
        if self._request is None:
            self.close(reset=False)
        else:
            self._request.keep_alive = False

    def play(self, player: Player) -> None:
        """Let `player` answer the current request."""
        self._player = player
        player.start()

    def stream_ended(self, end: EndKind) -> None:
        """The player has finished: after a complete stream comes the next request, otherwise the connection ends."""
        request, self._player, self._request = self._request, None, None
        if not self._open:
            return
        if end != "complete":
            self._open = False
            self._transport.abort()
        elif self._eof or request is None or not request.keep_alive:
            self.close(reset=False)
        else:
            self._wait.begin()
            asyncio.get_running_loop().call_soon(self._next)

    def reply(self, reply: Reply) -> None:
        """Answer the current request with a whole reply."""
        request, self._request = self._request, None
        if not self._open or request is None:
            return
        keep_alive = request.keep_alive and not self._eof
        self._write_reply(reply, head_only=request.method == "HEAD", keep_alive=keep_alive)
        if keep_alive:
            self._wait.begin()
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self.close(reset=False)

    def reply_later(self, coroutine: Coroutine[Any, Any, Reply]) -> None:
        """Answer the current request with the result of `coroutine`, which is cancelled if the client leaves first."""

        def finish(task: asyncio.Task[Reply]) -> None:
            self._task = None
            if task.cancelled():
                return
            error = task.exception()
            failed = json_reply(500, {"error": {"message": f"the control API failed: {error!r}"}})
            self.reply(task.result() if error is None else failed)

        task = self._task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(finish)

    def export(self, pieces: AsyncIterator[bytes]) -> None:
        """Answer the current request with NDJSON; it waits for the client, so memory stays bounded."""

        async def run() -> None:
            request = self._request
            assert request is not None
            chunked = request.http_version == "1.1"
            head = [("Content-Type", "application/x-ndjson")]
            head.append(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close"))
            self._transport.write(head_bytes(200, head))
            try:
                async for piece in pieces:
                    self._transport.write(chunk(piece) if chunked else piece)
                    # Running streams go first: their times are what is measured.
                    await (self._writable.wait() if self.blocked else asyncio.sleep(0))
            except (OSError, EOFError):  # another worker has gone: a clean end would make a part look whole
                self._transport.abort()
                return
            self._transport.write(LAST_CHUNK if chunked else b"")
            self._task = None
            self._request = None
            if chunked and request.keep_alive and not self._eof:
                self._wait.begin()
                self._next()
            else:
                self.close(reset=False)

        self._task = asyncio.get_running_loop().create_task(run())

    def _next(self) -> None:
        if self._open and self._request is None and (request := self._reader.take()) is not None:
            self._request = request
            self._service.handle(request, self)

    def _expects_continue(self) -> None:
        if self._request is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _write_reply(self, reply: Reply, *, head_only: bool, keep_alive: bool) -> None:
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            *reply.headers,
        ]
        if not keep_alive:
            headers.append(("Connection", "close"))
        data = head_bytes(reply.status, headers)
        # Through the transport: a reply may be large, and nobody measures its time.
        self._transport.write(data if head_only else data + reply.body)
