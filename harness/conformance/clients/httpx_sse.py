"""httpx-sse itself: EventSource.iter_sse()."""

from collections.abc import Iterator

from streamgauge.conformance.clients.base import MESSAGE, Body, Client, Message, any_event_stream
from streamgauge.conformance.clients.httpx_lines import response_of


def _read(body: Body) -> Iterator[Message]:
    from httpx_sse import EventSource  # an extra

    for event in EventSource(response_of(body)).iter_sse():
        yield Message(event.data, event.event or MESSAGE)


CLIENT = Client(
    name="httpx-sse",
    source="httpx-sse itself: httpx_sse/_decoders.py",
    read=_read,
    applies=any_event_stream,
    package="httpx-sse",
    least="0.4",
)
