"""Requests beside the measured ones, which need no arrival stamps: to a mock's control API, to a server's metrics."""

import ssl
import time
from collections.abc import Mapping
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

import httpx

from streamgauge.endpoint.target import Target
from streamgauge.transport.connector import Connector
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.transport.tls import tls_context

_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity"}


class Body(NamedTuple):
    """A body as far as it was read; `whole` where it ended within its limits."""

    content: bytes
    whole: bool


class PlainAnswer(NamedTuple):
    """The answer to one request."""

    status: int
    body: Body


class PlainClient:
    """A client of one server beside the endpoint, which may be hostile: no environment, no redirects, no cookies.

    It uses the transport of the measured requests: that has a limit for the head, and a deadline that holds from the
    look-up of the name to the last byte. httpx's own limits are for each read, so a head that drips lasts for ever.
    """

    def __init__(self, connector: Connector, headers: Mapping[str, str] | None = None) -> None:
        self._transport = CaptureTransport(connector=connector)
        self._headers = {**_HEADERS, **(headers or {})}

    @classmethod
    def beside(cls, target: Target, url: str) -> Self:
        """A client for `url` with the TLS settings of the target, and with its Unix socket if it has its origin."""
        same = urlsplit(url)[:2] == urlsplit(target.url)[:2]
        return cls(Connector(tls_for(target, url), unix_socket=target.unix_socket if same else None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connection."""
        self._transport.close()

    def ask(
        self,
        method: str,
        url: str,
        *,
        most_bytes: int,
        seconds: float,
        silence_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PlainAnswer:
        """One request, over in `seconds` and after `silence_s` without a byte.

        Raises httpx.TransportError, httpx.InvalidURL and UnicodeError.
        """
        until_s = time.monotonic() + seconds
        place = httpx.URL(url)
        request = httpx.Request(
            method,
            place,
            headers={"Host": place.netloc.decode("ascii"), **self._headers, **(headers or {})},
            extensions={
                "timeout": dict.fromkeys(("connect", "read", "write"), silence_s or seconds), "deadline": until_s,
            },
        )  # fmt: skip
        response = self._transport.handle_request(request)
        try:
            return PlainAnswer(response.status_code, _read(response, most_bytes, until_s))
        finally:
            response.close()


def _read(response: httpx.Response, most_bytes: int, until_s: float) -> Body:
    """The body, until it has more than `most_bytes`, or until `until_s` of the monotonic clock."""
    parts, size = [], 0
    for piece in response.iter_raw():
        parts.append(piece)
        size += len(piece)
        if size > most_bytes or time.monotonic() > until_s:
            return Body(b"".join(parts), whole=False)
    return Body(b"".join(parts), whole=True)


def tls_for(target: Target, url: str) -> ssl.SSLContext | None:
    """The target's TLS settings for another URL; None for http://, because loading the certificates takes longer than
    a request.
    """
    return tls_context(insecure=target.insecure, ca=target.ca) if url.startswith("https:") else None
