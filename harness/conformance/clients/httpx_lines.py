"""The loop people write over httpx: `for line in response.iter_lines()`, `data: ` and [DONE] by hand.

httpx itself runs: its lines end wherever str.splitlines() says so, U+2028, U+0085, VT and FF included.
"""

import json
from collections.abc import Iterator

import httpx

from streamgauge.conformance.clients.base import Body, Client, Message, any_event_stream


def _read(body: Body) -> Iterator[Message]:
    for line in response_of(body).iter_lines():
        if not line.startswith("data: "):
            continue
        data = line[6:]
        if data == "[DONE]":
            return
        if body.json:
            json.loads(data)
        yield Message(data)


class _Pieces(httpx.SyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def response_of(body: Body) -> httpx.Response:
    """The body as what httpx would have received."""
    headers = {"Content-Type": body.media_type} if body.media_type else {}
    return httpx.Response(200, headers=headers, stream=_Pieces(body))


CLIENT = Client(
    name="httpx iter_lines",
    source="httpx itself: httpx/_decoders.py",
    read=_read,
    applies=any_event_stream,
    package="httpx",
    events=False,
    naive=True,
)
