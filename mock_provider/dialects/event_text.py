"""`POST /chat/stream`: `event: token` as TypedResults.ServerSentEvents writes it (docs/protocols.md#event-text)."""

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import (
    MESSAGE,
    Dialect,
    Encoder,
    data_lines,
    json_object,
    message_field,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class EventText(Dialect):
    """Stateless: the dialect is its own encoder. There is no marker: the stream ends with the body."""

    name = "event-text"
    routes = (("POST", "/chat/stream"),)
    headers = (
        ("Cache-Control", "no-cache,no-store"),
        ("Pragma", "no-cache"),
        ("Content-Encoding", "identity"),
    )
    features = frozenset({"sse", "custom", "raw", "error"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The field `message` of a JSON body."""
        return message_field(json_object(request))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """No item: there is no marker."""
        return ()

    def encode(self, item: Item) -> bytes:
        """Fields in the order in which SseFormatter writes them: event, data, blank line; LF only."""
        if item.kind is Kind.TOKEN:
            return b"event: token\n%b\n" % data_lines(item.text)
        if item.kind is Kind.ERROR:
            return b"event: error\n%b\n" % data_lines(item.text or MESSAGE)
        return f": {item.text}\n\n".encode()


DIALECT = EventText()
