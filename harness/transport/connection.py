"""One TCP connection, with or without TLS on top, whose reads carry their kernel stamps."""

import _socket
import contextlib
import socket
import ssl
import struct
import time
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from streamgauge.transport import stamps
from streamgauge.wire import Arrivals, Read

_DRAIN_READS: Final = 256  # the most reads before closing, 16 MiB: a peer may send faster than they are read
_LINGER_RST: Final = struct.pack("ii", 1, 0)


def left_of(ends_s: float | None) -> float | None:
    """Seconds until `ends_s` (monotonic), for a socket's timeout. Raises TimeoutError when that has passed."""
    if ends_s is None:
        return None
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


class Close(StrEnum):
    """How the client leaves a response.

    FIN is an orderly close, RST an abortive one (SO_LINGER 0). RST_STREAM ends the HTTP/2 stream and keeps the
    connection; over HTTP/1.1, where a connection carries one stream, it is an orderly close. INVOCATION does the same
    at a SignalR hub: it sends CancelInvocation. HALF closes only the sending side and goes on reading.
    """

    FIN = "fin"
    RST = "rst"
    RST_STREAM = "rst_stream"
    INVOCATION = "invocation"
    HALF = "half"


class Arrived(NamedTuple):
    """What a registration has taken. `closed_ns`: when the peer closed or an error came (epoch ns), None before."""

    arrivals: Arrivals
    closed_ns: int | None = None
    error: OSError | None = None


class Registration(Protocol):
    """A reader that takes the bytes of a connection as they arrive, also while no response is awaited."""

    def take(self) -> Arrived:
        """What has arrived since the last call."""

    def idle(self) -> bool:
        """Whether nothing has arrived, and the peer has not closed."""

    def remove(self) -> None:
        """Never touch the descriptor again."""


def _peer_of(sock: socket.socket) -> str | None:
    try:
        address = sock.getpeername()
    except OSError:  # it has closed already
        return None
    if not isinstance(address, tuple):
        return None
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Connection:
    """One TCP connection (or Unix socket), with or without TLS on top."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._notified = False  # the peer has sent close_notify (RFC 8446 section 6.1): no more data will come
        self.registration: Registration | None = None
        self._raw: _socket.socket | None = None  # the same descriptor as a plain socket, without gevent's layer
        self.peer = _peer_of(sock)
        """The address and port at the other end, the proxy's behind a proxy; None of a Unix socket."""

    def start_tls(self, context: ssl.SSLContext, hostname: str, ends_s: float | None = None) -> None:
        """Handshake, over by `ends_s` of the monotonic clock. Raises ssl.SSLError, OSError or TimeoutError."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._sock.settimeout(left_of(ends_s))
                self._flush()
                data = self._sock.recv(stamps.RECV_BYTES)
                if not data:
                    raise ConnectionError("the server closed the connection during the TLS handshake") from None
                self._incoming.write(data)
            else:
                self._flush()
                return

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS layer, where there is one."""
        return self._tls

    @property
    def alpn(self) -> str | None:
        """The protocol that the TLS handshake agreed on (RFC 7301)."""
        return None if self._tls is None else self._tls.selected_alpn_protocol()

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the kernel."""
        if self._tls is None:
            if self._raw is not None:
                # The send buffer nearly always has room for all of it, and gevent's send would switch to its hub.
                with contextlib.suppress(BlockingIOError):
                    data = data[self._raw.send(data) :]
            if data:
                self._sock.sendall(data)
        else:
            self._tls.write(data)
            self._flush()

    def receive(self) -> tuple[bytes, Read]:
        """The plaintext of one read (under TLS possibly of several, when a record spans them) and its stamp."""
        if self._tls is None:
            return stamps.receive(self._sock)
        # The close_notify came together with the last data. The peer may keep TCP open, so a recv could block for ever.
        if self._notified:
            now_ns = time.time_ns()
            return b"", Read(now_ns, now_ns, 0, stamped=False)
        timeout_s = self._sock.gettimeout()
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
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
            # A part of a TLS record has no plaintext yet, so it must not restart the read timeout.
            self._sock.settimeout(left_of(ends_s))

    def watched(self) -> int:
        """Prepare for `poll`; returns the descriptor to watch."""
        self._sock.setblocking(False)
        if self._raw is None:
            self._raw = _socket.socket(fileno=self._sock.fileno())
        return self._raw.fileno()

    def poll(self, empty_ns: int | None = None) -> tuple[bytes, Read] | None:
        """Read without waiting; None when nothing has arrived, or only a part of a TLS record.

        `empty_ns` is when the socket was known to be empty (see `Read`).
        """
        assert self._raw is not None, "poll comes after watched"
        if self._notified:
            now_ns = time.time_ns()
            return b"", Read(now_ns, now_ns, 0, stamped=False)
        try:
            data, ancillary, _, _ = self._raw.recvmsg(stamps.RECV_BYTES, stamps.ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        user_ns = time.time_ns()
        if self._tls is not None and data:
            self._incoming.write(data)
            plain = self._decrypt()
            if plain == b"":
                return None
            data = plain or b""
        return data, stamps.read_of(data, ancillary, user_ns, empty_ns)

    def decrypted(self, arrivals: Arrivals) -> tuple[Arrivals, ssl.SSLError | None]:
        """The plaintext of reads that a registration has taken, up to an error of TLS.

        A read without plaintext, because it brought only a part of a TLS record, is left out.
        """
        plain: list[tuple[bytes, Read]] = []
        for data, read in arrivals.pairs():
            self._incoming.write(data)
            try:
                part = self._decrypt()
            except ssl.SSLError as error:
                return Arrivals.of(plain), error
            if part is None:
                break
            if part:
                plain.append((part, read._replace(size=len(part))))
        return Arrivals.of(plain), None

    @property
    def closed_by_tls(self) -> bool:
        """Whether the peer has sent close_notify (RFC 8446 section 6.1): no more data will come."""
        return self._notified

    def leftovers(self) -> bytes | None:
        """What arrived between two responses; None when the peer has closed. Raises OSError."""
        if self.registration is not None:
            arrivals, closed_ns, error = self.registration.take()
            if self._tls is not None:
                arrivals, error = self.decrypted(arrivals)
            return None if error or closed_ns is not None or self._notified else arrivals.data
        self.watched()
        arrival = self.poll()
        return b"" if arrival is None else arrival[0] or None

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
        self._flush()  # the peer may have requested a key update (RFC 8446 section 4.6.3), which has to be answered
        return b"".join(parts)

    def _flush(self) -> None:
        if pending := self._outgoing.read():
            self._sock.sendall(pending)

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    @property
    def idle(self) -> bool:
        """Whether the connection can carry another request: nothing waits to be read.

        A FIN waits when the peer has closed the connection, bytes wait when it has sent more than the last answer.
        """
        if self._notified:
            return False
        self._sock.setblocking(False)
        try:
            (self._raw or self._sock).recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            # The registration comes second: bytes that it took from the kernel before this look are there by now.
            return self.registration is None or self.registration.idle()
        except OSError:
            return False
        return False

    def half_close(self) -> None:
        """Send a FIN and go on reading (RFC 9112 section 9.6). Under TLS the FIN goes without a close_notify."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self, how: Close = Close.FIN) -> None:
        """Close. Linux sends RST instead of FIN when unread data is left, so an orderly close reads it first."""
        self._release()
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

    def __del__(self) -> None:
        """Nobody closed it: its socket closes next, and the system may give its descriptor to another connection."""
        self._release()

    def _release(self) -> None:
        """End all other use of the descriptor."""
        if self.registration is not None:
            with contextlib.suppress(RuntimeError):  # the reader has ended, or belongs to the parent of a forked child
                self.registration.remove()
            self.registration = None
        if self._raw is not None:
            self._raw.detach()
            self._raw = None
