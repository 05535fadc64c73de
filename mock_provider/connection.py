"""One client connection: request parsing by llhttp, responses written by hand, one request at a time."""

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools

from mock_provider.http import Reply, Request, head_bytes, json_reply
from mock_provider.ledger import EndKind
from mock_provider.player import Player

if TYPE_CHECKING:
    from mock_provider.server import Server

HEAD_LIMIT = 65_536  # bytes of request line and header fields
BODY_LIMIT = 16 * 1_048_576  # bytes
PIPELINE_LIMIT = 16  # requests that wait behind a running one
# Closing with this set sends an RST and drops what is unsent (socket(7), SO_LINGER).
LINGER_ZERO = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.x with one client, and tells the running stream how that client is."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._requests: deque[Request] = deque()
        self._player: Player | None = None
        self._task: asyncio.Task[None] | None = None
        self._request: Request | None = None  # the one being answered
        self._open = False
        self._blocked = False
        self._eof = False
        self._refused: Reply | None = None
        self._begin_message()

    # Events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        # Any queued byte blocks: the ledger's write times must not be those of a queue.
        self._transport.set_write_buffer_limits(high=0)
        self._socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = self._socket.fileno()
        peer = transport.get_extra_info("peername")  # None when the client has left already
        self.peer_host = str(peer[0]) if peer else ""
        self._parser = httptools.HttpRequestParser(self)
        self._open = True
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if not self._open:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # no protocol to upgrade to: the request is answered as if it had not asked
        except httptools.HttpParserError as error:
            if self._refused is None:
                self._refused = json_reply(400, {"error": {"message": f"not a valid HTTP request: {error}"}})
        if self._refused is not None:
            # A stream that runs on this connection is cut: what follows it can't be understood.
            if self._request is None:
                self._write_reply(self._refused, head_only=False, keep_alive=False)
            self.close(reset=False)
            return
        self._next()

    def eof_received(self) -> bool:
        """The client's FIN. True keeps our side open for a stream that plays on."""
        self._eof = True
        if self._player is not None:
            self._player.disconnected("fin", gone=False)
        return self._player is not None or self._task is not None

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone; `error` tells an RST from a FIN."""
        self._open = False
        self._server.connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._player is not None:
            self._player.disconnected("rst" if isinstance(error, OSError) else "fin", gone=True)

    def pause_writing(self) -> None:
        """The kernel takes no more bytes."""
        self._blocked = True

    def resume_writing(self) -> None:
        """It does again."""
        self._blocked = False
        if self._player is not None:
            self._player.resume()

    # Events of the parser

    def on_message_begin(self) -> None:
        """First byte of a request."""
        self._begin_message()

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
        if self._headers.get("expect", "").lower() == "100-continue" and self._request is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += body
        if len(self._body) > BODY_LIMIT:
            self._refuse(413, f"the body has more than {BODY_LIMIT} bytes")

    def on_message_complete(self) -> None:
        """The request is here: this is its arrival."""
        if len(self._requests) >= PIPELINE_LIMIT:
            self._refuse(400, f"more than {PIPELINE_LIMIT} pipelined requests")
        self._requests.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                target=self._target.decode("latin-1"),
                http_version=self._parser.get_http_version(),
                headers=self._headers,
                body=bytes(self._body),
                arrival_ns=time.time_ns(),
                arrival_monotonic_ns=time.monotonic_ns(),
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    # What the server does with it

    @property
    def blocked(self) -> bool:
        """Whether the peer does not take more bytes at present."""
        return self._blocked

    def send(self, data: bytes) -> None:
        """Write with one system call now, past the loop's own queue, unless bytes are waiting there already.

        uvloop collects the writes of one turn of the loop and merges them, which would blur both write boundaries
        and their times. OSError when the peer has gone.
        """
        if not self._open:
            raise BrokenPipeError("the connection is closed")
        if not self._transport.get_write_buffer_size():
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._transport.write(data)

    def close(self, *, reset: bool) -> None:
        """FIN, after what is queued, or RST, instead of it."""
        if not self._open:
            return
        self._open = False
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            self._transport.abort()
        else:
            self._transport.close()

    def stop(self) -> None:
        """The server is going down: cut what runs."""
        if self._player is not None:
            self._player.stop()
        self._open = False
        self._transport.abort()

    def play(self, player: Player) -> None:
        """Let `player` answer the current request."""
        self._player = player
        player.start()

    def stream_ended(self, end: EndKind) -> None:
        """The player is done: with success the connection serves the next request, else it is over."""
        request, self._player, self._request = self._request, None, None
        if not self._open:
            return
        if end != "complete":
            self._open = False
            self._transport.abort()
        elif self._eof or request is None or not request.keep_alive:
            self.close(reset=False)
        else:
            asyncio.get_running_loop().call_soon(self._next)

    def reply(self, reply: Reply) -> None:
        """Answer the current request with a whole reply."""
        request, self._request = self._request, None
        if not self._open or request is None:
            return
        keep_alive = request.keep_alive and not self._eof
        self._write_reply(reply, head_only=request.method == "HEAD", keep_alive=keep_alive)
        if keep_alive:
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self.close(reset=False)

    def reply_later(self, coroutine: Coroutine[Any, Any, Reply]) -> None:
        """Answer the current request when `coroutine` is done; it is cancelled if the client leaves first."""

        async def finish() -> None:
            try:
                reply = await coroutine
            finally:
                self._task = None
            self.reply(reply)

        self._task = asyncio.get_running_loop().create_task(finish())

    def _next(self) -> None:
        if self._open and self._request is None and self._requests:
            self._request = self._requests.popleft()
            self._server.handle(self._request, self)

    def _write_reply(self, reply: Reply, *, head_only: bool, keep_alive: bool) -> None:
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            *reply.headers,
        ]
        if not keep_alive:
            headers.append(("Connection", "close"))
        data = head_bytes(reply.status, headers)
        # Through the transport: a reply may be large, and its timing is nobody's subject.
        self._transport.write(data if head_only else data + reply.body)

    def _begin_message(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_size = 0

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(431, f"the request head has more than {HEAD_LIMIT} bytes")

    def _refuse(self, status: int, message: str) -> None:
        self._refused = json_reply(status, {"error": {"message": message}})
        raise ValueError(message)  # stops the parser
