"""Where a server listens (TCP or Unix socket, plain or TLS), its timeouts, and how it drains."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp

import trustme

from streamgauge.mock_provider.arrivals import stamp
from streamgauge.mock_provider.client_wait import IDLE_TIMEOUT, REQUEST_TIMEOUT
from streamgauge.mock_provider.durations import parse_duration, parse_option
from streamgauge.mock_provider.user_files import must_be_regular

BACKLOG = 4_096
SELF_SIGNED = "self-signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The options `--uds`, `--tls*`, `--drain` and the timeouts; ValueError for a wrong combination."""

    uds: str | None = None
    tls: str | None = None  # "self-signed"
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None  # where the CA of self-signed is written
    drain: str = "cut"  # or "finish", or a duration
    request_timeout: str = REQUEST_TIMEOUT  # from a request's first byte to its last
    idle_timeout: str = IDLE_TIMEOUT  # between requests, and for a peer that does not take the end of an answer
    context: ssl.SSLContext | None = field(init=False, default=None)
    ca_path: Path | None = field(init=False, default=None)  # where `prepare` has written the CA of self-signed
    drain_ns: int | None = field(init=False, default=0)  # None: for as long as streams last
    request_ns: int = field(init=False, default=0)
    idle_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        if self.tls not in (None, SELF_SIGNED):
            raise ValueError(f"tls: expected {SELF_SIGNED}, got {self.tls!r}; for files, use tls-cert and tls-key")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls-cert and tls-key belong together")
        if self.tls is not None and self.tls_cert is not None:
            raise ValueError("tls: expected either self-signed or files, got both")
        if self.tls_ca is not None and self.tls is None:
            raise ValueError("tls-ca: expected --tls self-signed as well; only then a CA is written")
        put("request_ns", parse_option("request-timeout", self.request_timeout))
        put("idle_ns", parse_option("idle-timeout", self.idle_timeout))
        if self.drain == "finish":
            put("drain_ns", None)
        elif self.drain != "cut":
            try:
                put("drain_ns", parse_duration(self.drain))
            except ValueError as error:
                raise ValueError(f"drain: {error}, or finish, or cut") from None

    def prepare(self, host: str) -> None:
        """Create the TLS context once for all workers, and write the CA. OSError or ValueError for unusable files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.tls_cert is not None and self.tls_key is not None:
            for path in (self.tls_cert, self.tls_key):
                must_be_regular(Path(path))
            context.load_cert_chain(self.tls_cert, self.tls_key)
        elif self.tls is not None:
            authority = trustme.CA()
            authority.issue_cert(*_names(host)).configure_cert(context)
            object.__setattr__(self, "ca_path", _write_ca(authority.cert_pem.bytes(), self.tls_ca))
        else:
            return
        # No h2 in ALPN: this server speaks HTTP/1 only.
        context.set_alpn_protocols(["http/1.1"])
        object.__setattr__(self, "context", context)


async def listen(
    factory: Callable[[], asyncio.Protocol], host: str, port: int, listening: Listening, *, shared: bool = False
) -> tuple[asyncio.AbstractServer, str]:
    """The listener and its base URL; `shared` lets other processes listen on the same port."""
    loop = asyncio.get_running_loop()
    context = listening.context
    if listening.uds is not None:
        server = await loop.create_unix_server(factory, listening.uds, ssl=context, backlog=BACKLOG)
        return server, f"unix:{listening.uds}"
    server = await loop.create_server(
        factory, host, port, ssl=context, backlog=BACKLOG, reuse_port=True if shared else None
    )
    for listener in server.sockets:
        stamp(listener)
    host, port = server.sockets[0].getsockname()[:2]
    scheme = "http" if context is None else "https"
    return server, f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def forget_socket(listening: Listening) -> None:
    """Remove the Unix socket's file."""
    if listening.uds is not None:
        _remove(listening.uds)


def forget_ca(listening: Listening) -> None:
    """Remove the CA, unless the user chose its place."""
    if listening.ca_path is not None and listening.tls_ca is None:
        _remove(listening.ca_path)


def _remove(path: str | Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _write_ca(certificate: bytes, wanted: str | None) -> Path:
    """Write a CA certificate to the path that the user wants, else to a fresh file, and return its path.

    A new file under a name that nobody can guess, then renamed: written in place, it would overwrite the file that
    another user's link in a shared folder leads to.
    """
    place = Path(wanted).parent if wanted is not None else None
    try:
        descriptor, name = mkstemp(prefix="streamgauge-mock-ca-", suffix=".pem", dir=place)
    except OSError as error:
        raise OSError(error.errno, f"can't write the CA: {error.strerror}", wanted) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate)
        os.chmod(name, 0o644)  # a certificate is public, and clients may be other users
        if wanted is not None:
            os.replace(name, wanted)
    except OSError:
        os.unlink(name)
        raise
    return Path(wanted or name)


def _names(host: str) -> list[str]:
    """Names of a self-signed certificate: this machine's usual names, and the address that it listens on."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            return names
    return names if host in names else [*names, host]
