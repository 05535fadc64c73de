"""`GET /api/chat/events?message=`: named events with JSON, and heartbeats (docs/protocols.md#event-json)."""

import json

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, message_argument
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class EventJson(Dialect):
    """Stateless: the dialect is its own encoder."""

    name = "event-json"
    routes = (("GET", "/api/chat/events"),)
    features = frozenset({"sse", "custom", "json", "object", "marker", "error"})
    heartbeat_ns = 15_000_000_000  # the guide's

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The query argument `message`."""
        return message_argument(request, required=True)

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def encode(self, item: Item) -> bytes:
        """`event: token`, `event: done`, `event: error`."""
        if item.kind is Kind.TOKEN:
            return f'event: token\ndata: {{"token":{json.dumps(item.text)}}}\n\n'.encode()
        if item.kind is Kind.DONE:
            return b"event: done\ndata: {}\n\n"
        if item.kind is Kind.ERROR:
            return f"event: error\ndata: {json.dumps({'message': item.text or MESSAGE})}\n\n".encode()
        return f": {item.text}\n\n".encode()


DIALECT = EventJson()
