"""HTTP/1.1 over a socket that is ours, under httpx's API: every read is kept with its kernel arrival stamp.

httpx's own transport cannot tell reads from chunks (httpcore drops the boundaries), and costs several times more CPU a
token; a client that busy measures its own queue. Here the loop per read is: recvmsg, append, llhttp. Requests, headers,
authentication and TLS configuration stay httpx's. One transport belongs to one thread or greenlet.
"""

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import httpx

from harness.transport import stamps
from harness.transport.parser import ResponseParser
from harness.wire import Capture, End, Read

DEFAULT_TIMEOUT_S: Final = 30.0
_DRAIN_READS: Final = 256  # a peer that floods is not waited out
_LINGER_RST: Final = struct.pack("ii", 1, 0)


class Close(StrEnum):
    """How the client leaves: an orderly close, or an abortive one (SO_LINGER 0)."""

    FIN = "fin"
    RST = "rst"


class Connection:
    """One TCP connection, with or without TLS on top."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._notified = False

    def start_tls(self, context: ssl.SSLContext, hostname: str) -> None:
        """Handshake. Raises ssl.SSLError, OSError or TimeoutError."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(stamps.RECV_BYTES)
                if not data:
                    raise ConnectionError("the server closed the connection during the TLS handshake") from None
                self._incoming.write(data)
            else:
                self._flush()
                return

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the kernel."""
        if self._tls is None:
            self._sock.sendall(data)
        else:
            self._tls.write(data)
            self._flush()

    def receive(self) -> tuple[bytes, Read]:
        """The plaintext of one read (under TLS possibly of several, when a record spans them) and its stamp."""
        if self._tls is None:
            return stamps.receive(self._sock)
        if self._notified:  # the peer's close_notify came along with the last data; it may keep TCP open for ours
            now_ns = time.time_ns()
            return b"", Read(now_ns, now_ns, 0, stamped=False)
        while True:
            data, read = stamps.receive(self._sock)
            if not data:
                return b"", read
            self._incoming.write(data)
            plain = self._decrypt()
            if plain is None:
                return b"", read
            if plain:
                return plain, read

    def _decrypt(self) -> bytes | None:
        assert self._tls is not None
        parts: list[bytes] = []
        while True:
            try:
                part = self._tls.read(stamps.RECV_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:  # the peer's close_notify
                self._notified = True
                return b"".join(parts) or None
            parts.append(part)
        self._flush()  # a TLS 1.3 key update asks for an answer
        return b"".join(parts)

    def _flush(self) -> None:
        if pending := self._outgoing.read():
            self._sock.sendall(pending)

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    @property
    def idle(self) -> bool:
        """Nothing waits to be read: an idle connection with something to read has been closed, or is out of step."""
        self._sock.setblocking(False)
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self, how: Close = Close.FIN) -> None:
        """Leave. Unread data would turn an orderly close into a reset, so it is read away first."""
        try:
            if how is Close.RST:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
            else:
                self._sock.setblocking(False)
                for _ in range(_DRAIN_READS):
                    if not self._sock.recv(stamps.RECV_BYTES):
                        break
        except OSError:
            pass
        self._sock.close()


class Exchange(httpx.SyncByteStream):
    """The body of one response, as httpx iterates it; `drain` is the same without httpx in between."""

    def __init__(self, connection: Connection, capture: Capture, timeout_s: float | None) -> None:
        self.capture = capture
        self._connection: Connection | None = connection
        self._parser = ResponseParser(capture)
        self._timeout_s = timeout_s
        self._returned = 0
        self._pool: list[Connection] | None = None
        self._leave: tuple[float, Close] | None = None

    def __iter__(self) -> Iterator[bytes]:
        body = self.capture.body
        more = True
        while True:
            while self._returned < len(body):
                self._returned += 1
                yield body[self._returned - 1][1]
            if not more:
                self.raise_for_end()
                return
            more = self.step()  # the read that ends the response may bring the last of the body

    def step(self, deadline_s: float | None = None) -> bool:
        """Do one read; False when the response has ended, for whatever reason (see `capture.end`)."""
        if self._parser.done or self._connection is None:
            self._finish()
            return False
        timeout_s = self._timeout_s
        ends = [at for at in (deadline_s, self._leave[0] if self._leave else None) if at is not None]
        if ends:
            left = min(ends) - time.monotonic()
            if left <= 0:
                self._out_of_time()
                return False
            timeout_s = left if timeout_s is None else min(left, timeout_s)
        capture = self.capture
        try:
            self._connection.settimeout(timeout_s)
            data, read = self._connection.receive()
        except TimeoutError:
            if ends and time.monotonic() >= min(ends):
                self._out_of_time()
                return False
            what = "answer" if capture.head is None else "byte"
            waited = 0.0 if timeout_s is None else timeout_s
            self._stop(End.TIMEOUT, f"no {what} came for {waited:.1f} s")
            return False
        except ConnectionResetError:
            self._stop(End.RESET, "the connection was reset by the peer")
            return False
        except ssl.SSLError as error:
            self._stop(End.MALFORMED, f"TLS failed while reading: {error.reason or error}")
            return False
        except OSError as error:
            self._stop(End.RESET, f"reading failed: {error.strerror or error}")
            return False
        if data:
            index = len(capture.reads)
            capture.reads.append(read if len(data) == read.size else read._replace(size=len(data)))
            if capture.wire is not None:
                capture.wire.append(data)
            self._parser.feed(data, index)
        else:
            capture.end_ns = read.t_ns
            self._parser.eof()
        if self._parser.done:
            self._finish()
            return False
        return True

    def drain(self, deadline_s: float | None = None) -> None:
        """Read to the end; `deadline_s` is on the monotonic clock."""
        while self.step(deadline_s):
            pass

    def leave(self, how: Close) -> None:
        """Close before the end, as a user who has seen enough."""
        capture = self.capture
        if capture.end is None:
            capture.end = End.CANCELLED
            capture.detail = f"closed by the harness ({how.value.upper()})"
        if self._connection is not None:
            capture.end_ns = time.time_ns()
            self._connection.close(how)
            self._connection = None

    def leave_at(self, when_s: float, how: Close) -> None:
        """Close at that time of the monotonic clock if the response has not ended by then, answered or not."""
        self._leave = (when_s, how)

    def interrupt(self) -> None:
        """The run ends here, not the stream."""
        if self.capture.end is None:
            self._stop(End.INTERRUPTED, "the run ended before the stream did")

    def close(self) -> None:
        """httpx closes a response it is done with."""
        if self._connection is not None:
            self.leave(Close.FIN)

    def raise_for_end(self) -> None:
        """What httpx's callers expect of an unfinished response."""
        end, detail = self.capture.end, self.capture.detail
        if end is End.TIMEOUT:
            raise httpx.ReadTimeout(detail or "timeout")
        if end in (End.CLOSED, End.MALFORMED, End.TOO_LARGE):
            raise httpx.RemoteProtocolError(detail or end.value)
        if end in (End.RESET, End.CANCELLED):
            raise httpx.ReadError(detail or end.value)

    def keep_in(self, pool: list[Connection]) -> None:
        """Where the connection goes when the response is complete and the peer keeps it open."""
        self._pool = pool

    def _out_of_time(self) -> None:
        if self._leave is not None and time.monotonic() >= self._leave[0]:
            self.leave(self._leave[1])
        else:
            self._stop(End.TIMEOUT, "the stream was still running at the deadline")

    def _stop(self, end: End, detail: str) -> None:
        self.capture.end = end
        self.capture.detail = detail
        self._finish()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        capture = self.capture
        if connection is None:
            return
        if capture.end_ns is None:
            # A complete response ended with its last byte; anything else ended when we stopped waiting.
            complete = capture.end is End.COMPLETE and capture.reads
            capture.end_ns = capture.reads[-1].t_ns if complete else time.time_ns()
        if capture.end is End.COMPLETE and self._parser.keep_alive and self._pool is not None:
            self._pool.append(connection)
        else:
            connection.close()


class CaptureTransport(httpx.BaseTransport):
    """The transport. A caller that wants the Capture of a failed exchange too passes one as `extensions["capture"]`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        stamps.prime()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read up to the end of the response head. Raises httpx's transport errors."""
        capture = request.extensions.get("capture") or Capture(0)
        version = request.extensions.get("http_version_asked", "1.1")
        timeout = request.extensions.get("timeout", {})
        deadline = request.extensions.get("deadline")
        payload = _request_bytes(request, version)
        capture.method = request.method
        capture.url = str(request.url)
        capture.request = payload
        capture.start_ns = time.time_ns()
        origin = _origin(request.url)
        pool = self._idle.setdefault(origin, [])
        try:
            connection = self._reuse(pool, capture) or self._connect(origin, capture, timeout.get("connect"))
            connection.settimeout(timeout.get("write"))
            connection.send(payload)
        except (OSError, UnicodeError) as error:
            raise _connect_error(error, origin, capture) from error
        capture.sent_ns = time.time_ns()
        exchange = Exchange(connection, capture, timeout.get("read"))
        exchange.keep_in(pool)
        if leave := request.extensions.get("leave_after"):
            exchange.leave_at(time.monotonic() + leave[0], leave[1])
        try:
            while capture.head is None and exchange.step(deadline):
                pass
        except BaseException:
            exchange.interrupt()
            raise
        head = capture.head
        if head is None:
            exchange.raise_for_end()
            raise httpx.RemoteProtocolError("no response head")  # pragma: no cover - every end without a head raises
        return httpx.Response(
            head.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
            stream=exchange,
            extensions={"capture": capture, "exchange": exchange, "http_version": f"HTTP/{head.http_version}".encode()},
        )

    def close(self) -> None:
        """Close the idle connections."""
        for pool in self._idle.values():
            for connection in pool:
                connection.close()
        self._idle.clear()

    def _reuse(self, pool: list[Connection], capture: Capture) -> Connection | None:
        while pool:
            connection = pool.pop()
            if connection.idle:
                capture.reused = True
                return connection
            connection.close()
        return None

    def _connect(self, origin: tuple[str, str, int], capture: Capture, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        began = time.monotonic_ns()
        sock = socket.create_connection((host, port), timeout=timeout_s)
        capture.connect_ns = time.monotonic_ns() - began
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamps.enable(sock)
        connection = Connection(sock)
        if scheme == "https":
            began = time.monotonic_ns()
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
            try:
                connection.start_tls(self._tls, host)
            except BaseException:
                connection.close()
                raise
            capture.tls_ns = time.monotonic_ns() - began
        return connection


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _request_bytes(request: httpx.Request, version: str) -> bytes:
    """The request as it goes out: httpx's headers in their order and case, the body whole."""
    head = [request.method.encode("ascii") + b" " + request.url.raw_path + b" HTTP/" + version.encode("ascii")]
    head += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.read()


def _connect_error(
    error: OSError | UnicodeError, origin: tuple[str, str, int], capture: Capture
) -> httpx.TransportError:
    """Map what a socket or TLS raised to httpx's exceptions, and note it in the capture."""
    where = f"{origin[1]}:{origin[2]}"
    capture.end_ns = time.time_ns()
    if isinstance(error, TimeoutError):
        capture.end = End.TIMEOUT
        capture.detail = f"no connection to {where} within the connect timeout"
        return httpx.ConnectTimeout(capture.detail)
    capture.end = End.RESET
    if isinstance(error, ssl.SSLCertVerificationError):
        capture.detail = f"the TLS certificate of {where} is not accepted: {error.verify_message}"
    elif isinstance(error, ssl.SSLError):
        capture.detail = f"TLS with {where} failed: {error.reason or error} (is it a plain-text port?)"
    elif isinstance(error, socket.gaierror):
        capture.detail = f"the host name {origin[1]!r} cannot be resolved: {error.strerror}"
    elif isinstance(error, UnicodeError):
        capture.detail = f"the host name {origin[1]!r} is not a valid one: {error}"
    else:
        capture.detail = f"cannot connect to {where}: {error.strerror or error}"
    return httpx.ConnectError(capture.detail)
