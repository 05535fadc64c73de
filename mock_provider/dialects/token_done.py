"""`POST /api/chat/stream`: `{"token":"...","done":false}`, at last `true` (docs/protocols.md#token-done)."""

import json

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import MESSAGE, Dialect, Encoder, json_object, message_field
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class TokenDone(Dialect):
    """Stateless: the dialect is its own encoder."""

    name = "token-done"
    routes = (("POST", "/api/chat/stream"),)
    features = frozenset({"sse", "custom", "json", "object", "marker", "error"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The field `message` of a JSON body."""
        return message_field(json_object(request))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def encode(self, item: Item) -> bytes:
        """One object; the guide has no error event, so the name of the next guide's is used."""
        if item.kind is Kind.TOKEN:
            return f'data: {{"token":{json.dumps(item.text)},"done":false}}\n\n'.encode()
        if item.kind is Kind.DONE:
            return b'data: {"token":"","done":true}\n\n'
        if item.kind is Kind.ERROR:
            return f"event: error\ndata: {json.dumps({'message': item.text or MESSAGE})}\n\n".encode()
        return f": {item.text}\n\n".encode()


DIALECT = TokenDone()
