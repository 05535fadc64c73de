"""Plain text in HTTP chunks, not an event stream: each read is one event (docs/protocols.md#plain-text)."""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import ERROR, any_error
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event


class PlainText(Defaults):
    name = "plain-text"
    summary = "plain text sent piece by piece, no events; each piece that arrives counts as one token event"
    media = Media.TEXT
    json_payload = False
    terminal = None

    def deltas_in(self, event: Event) -> list[Delta]:
        if event.data.startswith(("{", "[{", ERROR)) and (error := any_error(event, decode(event.data))):
            return [error]
        return [Delta(Kind.CONTENT, event.data)]

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - Content-Type tells it before any event
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
