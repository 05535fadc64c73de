"""`GET` and `POST /plain`: the tokens as chunked text, without an event stream."""

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import (
    Dialect,
    Encoder,
    json_object,
    message_argument,
    message_field,
)
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class PlainText(Dialect):
    """Stateless: the dialect is its own encoder. It has text, and no other item."""

    name = "plain-text"
    routes = (("GET", "/plain"), ("POST", "/plain"))
    content_type = "text/plain; charset=utf-8"
    features = frozenset({"plain"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """`message`: an optional query argument of GET, a field of the JSON body of POST."""
        if request.method == "GET":
            return message_argument(request, required=False)
        return message_field(json_object(request))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """No item: there is no marker."""
        return ()

    def encode(self, item: Item) -> bytes:
        """The bytes of a token; this framing has no heartbeats."""
        return item.text.encode("utf-8", "surrogateescape") if item.kind is Kind.TOKEN else b""


DIALECT = PlainText()
