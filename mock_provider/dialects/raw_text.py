"""`GET /stream`: `data: text` and nothing else (docs/protocols.md#raw-text)."""

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.dialects.base import Dialect, Encoder, data_lines, message_argument
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind


class RawText(Dialect):
    """Stateless: the dialect is its own encoder. It has neither a marker nor an error event."""

    name = "raw-text"
    routes = (("GET", "/stream"),)
    features = frozenset({"sse", "custom", "raw"})

    def parse(self, request: Request, models: tuple[str, ...]) -> ChatRequest:  # noqa: ARG002
        """The optional query argument `message`; the guide's endpoint takes none."""
        return message_argument(request, required=False)

    def encoder(self, chat: ChatRequest, plan: Plan) -> Encoder:  # noqa: ARG002
        """The dialect itself: no event depends on the request."""
        return self

    def end(self, chat: ChatRequest) -> tuple[Kind, ...]:  # noqa: ARG002
        """No item: there is no marker."""
        return ()

    def encode(self, item: Item) -> bytes:
        """Several `data:` lines for text with line breaks, which the guide forgets."""
        if item.kind is Kind.TOKEN:
            return b"%b\n" % data_lines(item.text)
        return f": {item.text}\n\n".encode()


DIALECT = RawText()
