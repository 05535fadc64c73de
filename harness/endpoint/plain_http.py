"""Requests beside the measured ones, which need no arrival stamps: to a mock's control API, to a server's metrics."""

import ssl
import time
from typing import NamedTuple

import httpx

from streamgauge.endpoint.target import Target
from streamgauge.transport.tls import tls_context


class Body(NamedTuple):
    """A body as far as it was read; `whole` where it ended within its limits."""

    content: bytes
    whole: bool


def read_body(response: httpx.Response, most_bytes: int, until_s: float) -> Body:
    """Read a body until it has more than `most_bytes`, or until `until_s` of the monotonic clock. Raises
    httpx.TransportError.
    """
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
