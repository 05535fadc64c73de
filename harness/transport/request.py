"""A request as the transport sends it, made by the harness or by an httpx client with its own authentication."""

from functools import lru_cache
from typing import NamedTuple, Self

import httpx

from streamgauge.transport.connection import Close
from streamgauge.transport.connector import Origin, origin_of

_WITH_BODY = ("POST", "PUT", "PATCH")


class Destination(NamedTuple):
    """The parts of a URL that a request needs. Every stream of a load has the same, so they are computed once."""

    url: httpx.URL
    text: str
    origin: Origin
    target: bytes  # in origin form, RFC 9112 section 3.2.1
    host: bytes  # the value of Host


@lru_cache(64)
def destination(url: str) -> Destination:
    """Raises httpx.InvalidURL."""
    return _destination(httpx.URL(url), url)


class PreparedRequest(NamedTuple):
    """One request. `fields` are its header fields in their order and case, Host and Content-Length included.

    Timeouts are in seconds, None without a limit. `deadline_s` is on the monotonic clock. `leave_after` (seconds, how)
    closes the response that long after the request was sent.
    """

    method: str
    to: Destination
    fields: list[tuple[bytes, bytes]]
    body: bytes
    http_version: str = "1.1"
    connect_timeout_s: float | None = None
    read_timeout_s: float | None = None
    write_timeout_s: float | None = None
    deadline_s: float | None = None
    leave_after: tuple[float, Close] | None = None

    @classmethod
    def of_httpx(cls, request: httpx.Request) -> Self:
        """The request of an httpx client. `extensions` may hold keys of this transport beside those of httpx."""
        extensions = request.extensions
        timeout = extensions.get("timeout", {})
        return cls(
            request.method,
            _destination(request.url, str(request.url)),
            [(name, value) for name, value in request.headers.raw],
            request.read(),
            extensions.get("http_version_asked", "1.1"),
            timeout.get("connect"),
            timeout.get("read"),
            timeout.get("write"),
            extensions.get("deadline"),
            extensions.get("leave_after"),
        )


def fields_of(method: str, to: Destination, headers: dict[str, str], body: bytes | None) -> list[tuple[bytes, bytes]]:
    """The header fields as httpx sends them: with Host first and Content-Length last, unless `headers` has them.

    Values are UTF-8, because Last-Event-ID has to be (WHATWG HTML section 9.2.4). Raises UnicodeEncodeError on a name
    that is not ASCII.
    """
    fields = [(name.encode("ascii"), value.encode()) for name, value in headers.items()]
    given = {name.lower() for name in headers}
    if "host" not in given:
        fields.insert(0, (b"Host", to.host))
    if (body is not None or method in _WITH_BODY) and not given & {"content-length", "transfer-encoding"}:
        fields.append((b"Content-Length", b"%d" % len(body or b"")))
    return fields


def _destination(url: httpx.URL, text: str) -> Destination:
    return Destination(url, text, origin_of(url), url.raw_path, url.netloc)
