"""A transport that answers every request of a vendor's SDK with the captured body."""

from collections.abc import Iterator

import httpx2

from streamgauge.conformance.clients.base import Body


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def http_client(body: Body) -> httpx2.Client:
    """An HTTP client for the SDKs, which are built on httpx2; it opens no connection."""
    headers = {"Content-Type": body.media_type} if body.media_type else {}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=_Pieces(body)))
    return httpx2.Client(transport=transport, trust_env=False)
