"""Opening a connection: name look-up, TCP or Unix socket, a proxy's tunnel, TLS.

Each phase is timed on the monotonic clock. One deadline limits all phases together, so that a server which sends its
handshake byte by byte also runs into it.
"""

import contextlib
import errno
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx

from streamgauge.transport import stamps
from streamgauge.transport.connection import Connection, left_of
from streamgauge.transport.proxies import Proxies, Proxy, place
from streamgauge.transport.timings import Timings
from streamgauge.transport.tls import tls_context
from streamgauge.wire import End

_MAX_TUNNEL_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")

Address = tuple[Any, ...]


class Origin(NamedTuple):
    """The origin of a URL (RFC 6454 section 4). Idle connections are kept by origin."""

    scheme: str
    host: str
    port: int

    @property
    def where(self) -> str:
        return place(self.host, self.port)


def origin_of(url: httpx.URL) -> Origin:
    return Origin(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))


class TunnelRefused(ConnectionError):  # noqa: N818 - a finding, not a fault
    """A proxy did not open a tunnel to the endpoint; the message quotes its answer."""


class Connector:
    """Opens connections for one client, within the connect timeout and the stream's deadline.

    With `unix_socket` every connection goes to that path, past all proxies. With `http2` they are for HTTP/2: over TLS
    both sides agree on it (ALPN, RFC 9113 section 3.2), without TLS the peer is known to speak it.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        proxies: Proxies | None = None,
        unix_socket: str | None = None,
        http2: bool = False,
    ) -> None:
        self._tls = tls
        self._http2 = http2
        self._proxies = proxies
        self.unix_socket = unix_socket

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """The proxy that `url` goes through. Raises UnusableProxy (an OSError)."""
        return self._proxies.proxy_for(url) if self._proxies and self.unix_socket is None else None

    def connect(
        self, origin: Origin, timings: Timings, proxy: Proxy | None, timeout_s: float | None, deadline_s: float | None
    ) -> Connection:
        """An open connection. `timings` is filled in as far as it comes.

        Raises OSError, which includes TimeoutError and ssl.SSLError, and UnicodeError.
        """
        ends_s = earlier(timeout_s, deadline_s)
        # HTTP/2 needs a tunnel even without TLS: a proxy without one speaks HTTP/1.1 to both sides.
        connection = self._open(origin, timings, proxy, ends_s, tunnel=self._http2 or origin.scheme == "https")
        if origin.scheme == "https":
            self._start_tls(connection, origin.host, timings, ends_s)
        return connection

    def _open(
        self, origin: Origin, timings: Timings, proxy: Proxy | None, ends_s: float | None, *, tunnel: bool
    ) -> Connection:
        """The connection before TLS; `tunnel` sends CONNECT to the proxy, if any (RFC 9110 section 9.3.6)."""
        if self.unix_socket is not None:
            connection = Connection(_dial([(socket.AF_UNIX, self.unix_socket)], timings, ends_s))
        else:
            host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
            addresses = _numeric(host, port)
            if addresses is None:
                began = time.monotonic_ns()
                with _phase("the look-up of the host name"):
                    addresses = _look_up(host, port, ends_s)
                timings.dns_ns = time.monotonic_ns() - began
            sock = _dial(addresses, timings, ends_s)
            timings.handshake_ns = stamps.handshake_ns(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stamps.enable(sock)
            connection = Connection(sock)
            if proxy and tunnel:
                with closing_on_error(connection):
                    began = time.monotonic_ns()
                    with _phase("the proxy's answer to CONNECT"):
                        _tunnel(sock, proxy, origin.where.encode("idna"), ends_s)
                    timings.tunnel_ns = time.monotonic_ns() - began
        return connection

    def _start_tls(self, connection: Connection, host: str, timings: Timings, ends_s: float | None) -> None:
        """The timed handshake. Closes the connection when it fails."""
        began = time.monotonic_ns()
        with closing_on_error(connection):
            with _phase("the TLS handshake"):
                connection.start_tls(self._tls or tls_context(http2=self._http2), host, ends_s)
            timings.tls_ns = time.monotonic_ns() - began
            if self._http2 and connection.alpn != "h2":
                raise ConnectionError("the endpoint does not offer HTTP/2 (no h2 in ALPN): drop --http2")


@contextlib.contextmanager
def _phase(name: str) -> Iterator[None]:
    """Name the phase of connecting that ran out of time."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(f"{name} did not end") from None


def earlier(timeout_s: float | None, deadline_s: float | None) -> float | None:
    """The monotonic time at which a phase that starts now must be over; None without a limit."""
    if timeout_s is None:
        return deadline_s
    ends_s = time.monotonic() + timeout_s
    return ends_s if deadline_s is None else min(ends_s, deadline_s)


OWN_LIMITS: Final = {
    errno.EMFILE: "this process has no file descriptor left (raise `ulimit -n`)",
    errno.ENFILE: "this machine has no file descriptor left (raise sysctl fs.file-max)",
    errno.EADDRNOTAVAIL: "this machine has no port left for another connection (widen sysctl "
    "net.ipv4.ip_local_port_range), or no address of this family",
    errno.ENOBUFS: "this machine has no buffers left for another connection",
    errno.ENOMEM: "this machine has no memory left for another connection",
}
"""Why no request could be sent, although the endpoint may be well."""


class NoThread(OSError):  # noqa: N818 - a finding, not a fault
    """This process may not start another thread."""


class Failure(NamedTuple):
    """Why no request could be sent: the end of the exchange, a sentence for the user, and the exception for httpx."""

    end: End
    detail: str
    error: httpx.TransportError


def connect_failure(
    error: OSError | UnicodeError, origin: Origin, proxy: Proxy | None, unix_socket: str | None
) -> Failure:
    """Explain an error of the socket or of TLS."""
    where, host = origin.where, origin.host
    if unix_socket is not None:
        where = unix_socket
    elif proxy is not None:
        where, host = f"{where} through the proxy {proxy.where}", proxy.host
    if (limit := _own_limit(error)) is not None:
        detail = f"cannot connect to {where}: {limit}"
        return Failure(End.NO_MEANS, detail, httpx.ConnectError(detail))
    if isinstance(error, TimeoutError):
        # The kernel's own time limit has an errno; ours names the phase that did not end.
        phase = str(error) if error.errno is None and error.args else ""
        detail = f"no connection to {where} within the connect timeout" + (f": {phase}" if phase else "")
        return Failure(End.TIMEOUT, detail, httpx.ConnectTimeout(detail))
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"the TLS certificate of {where} is not accepted: {error.verify_message}"
    elif isinstance(error, ssl.SSLError) and "no application protocol" in str(error).lower():
        detail = f"{where} does not offer HTTP/2: drop --http2"
    elif isinstance(error, ssl.SSLError):
        detail = f"TLS with {where} failed: {error.reason or error} (is it a plain-text port?)"
    elif isinstance(error, socket.gaierror):
        detail = f"the host name {host!r} cannot be resolved: {error.strerror}"
    elif isinstance(error, UnicodeError):
        detail = f"the host name {host!r} is not valid: {error}"
    else:
        detail = f"cannot connect to {where}: {error.strerror or error}"
    return Failure(End.RESET, detail, httpx.ConnectError(detail))


def _own_limit(error: OSError | UnicodeError) -> str | None:
    """The limit of this machine that an error is about; None when it is about the endpoint."""
    if isinstance(error, NoThread):
        return "this process may start no more threads (raise `ulimit -u`)"
    if isinstance(error, socket.gaierror):
        # The resolver only says that it failed, also when it could not open a socket or a file.
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as failed:
            return OWN_LIMITS.get(failed.errno or 0)
        return None
    if isinstance(error, UnicodeError | ssl.SSLError):
        return None
    return OWN_LIMITS.get(error.errno or 0)


def _numeric(host: str, port: int) -> list[tuple[int, Address]] | None:
    """The address of a host that is written as one; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, UnicodeError):
            socket.inet_pton(family, host)
            return [(family, (host, port))]
    return None


def _look_up(host: str, port: int, ends_s: float | None) -> list[tuple[int, Address]]:
    """Resolve a name, in a thread: getaddrinfo has no timeout and cannot be cancelled."""
    found: list[tuple[int, Address]] = []
    failed: list[OSError | UnicodeError] = []

    def resolve() -> None:
        try:
            for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, address))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=resolve, name="look-up", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread(str(error)) from None
    thread.join(left_of(ends_s))
    if thread.is_alive():
        raise TimeoutError
    if failed:
        raise failed[0]
    return found


def _dial(addresses: list[tuple[int, Any]], timings: Timings, ends_s: float | None) -> socket.socket:
    """A socket connected to the first address that answers. `connect_ns` covers all attempts together."""
    began = time.monotonic_ns()
    failure = OSError("the name has no address")
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left_of(ends_s))
            sock.connect(address)
            if family != socket.AF_UNIX and sock.getsockname() == sock.getpeername():
                # TCP's simultaneous open: the kernel has given the closed port to this very socket.
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            timings.connect_ns = time.monotonic_ns() - began
            return sock
    raise failure


def _tunnel(sock: socket.socket, proxy: Proxy, target: bytes, ends_s: float | None) -> None:
    """Send CONNECT and read the answer's head, byte by byte: the next byte may already be the endpoint's."""
    sock.settimeout(left_of(ends_s))
    sock.sendall(b"\r\n".join([b"CONNECT " + target + b" HTTP/1.1", b"Host: " + target, *proxy.fields, b"", b""]))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        sock.settimeout(left_of(ends_s))
        byte = sock.recv(1)
        if not byte or len(head) > _MAX_TUNNEL_HEAD:
            raise TunnelRefused("the proxy did not answer CONNECT" + (" with a head that ends" if head else ""))
        head += byte
    status = _STATUS.match(head)
    if status is None:
        raise TunnelRefused("the proxy's answer to CONNECT is not HTTP/1.1")
    if not status[1].startswith(b"2"):
        line = head.split(b"\r\n", 1)[0][9:209].decode("latin-1")
        hint = " (put user:password@ into the proxy's URL)" if status[1] == b"407" else ""
        raise TunnelRefused(f"the proxy answered CONNECT with {line}{hint}")


@contextlib.contextmanager
def closing_on_error(connection: Connection | None) -> Iterator[None]:
    """Close the connection when the block fails."""
    try:
        yield
    except BaseException:
        if connection is not None:
            connection.close()
        raise
