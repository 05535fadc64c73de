"""`GET` and `POST /plain`: the tokens themselves as chunked text, no event stream."""

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
    """Stateless: the dialect is its own encoder. Nothing but text can be said in it."""

    name = "plain-text"
    routes = (("GET", "/plain"), ("POST", "/plain"))
    content_type = "text/plain; charset=utf-8"
    features = frozenset({"plain"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The optional query argument, or the field of the JSON body, `message`."""
        if request.method == "GET":
            return message_argument(request, required=False)
        return message_field(json_object(request))

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """Nothing depends on the request."""
        return self

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """No marker."""
        return ()

    def encode(self, item: Item) -> bytes:
        """The bytes of a token; there are no comments to beat with."""
        return item.text.encode("utf-8", "surrogateescape") if item.kind is Kind.TOKEN else b""


DIALECT = PlainText()
