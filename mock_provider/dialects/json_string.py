"""`GET /api/chat/stream?message=`: each token a JSON string, then `[DONE]` (docs/protocols.md#json-string)."""

import json

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, message_argument
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class JsonString(Dialect):
    """Stateless: the dialect is its own encoder."""

    name = "json-string"
    routes = (("GET", "/api/chat/stream"),)
    features = frozenset({"sse", "custom", "json", "marker", "error"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The query argument `message`."""
        return message_argument(request, required=True)

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def encode(self, item: Item) -> bytes:
        """A JSON string; the guide has no error event, so the name of the next guide's is used."""
        if item.kind is Kind.TOKEN:
            return f"data: {json.dumps(item.text)}\n\n".encode()
        if item.kind is Kind.DONE:
            return b"data: [DONE]\n\n"
        if item.kind is Kind.ERROR:
            return f"event: error\ndata: {json.dumps({'message': item.text or MESSAGE})}\n\n".encode()
        return f": {item.text}\n\n".encode()


DIALECT = JsonString()
