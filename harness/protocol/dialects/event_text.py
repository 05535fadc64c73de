"""`event: token` with the text itself, as TypedResults.ServerSentEvents writes it (docs/protocols.md#event-text).

A line break in the text makes a second `data:` line.
"""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.payload import object_of
from streamgauge.protocol.eventstream import Event


class EventText(Defaults):
    name = "event-text"
    summary = "TypedResults.ServerSentEvents: event: token with the text itself, ended by the end of the body"
    media = Media.SSE
    json_payload = False
    terminal = None

    def deltas_in(self, event: Event) -> list[Delta]:
        if error := custom.error_of(event, None):
            return [error]
        if done := custom.done_of(event):
            return [*custom.finish_of(object_of(event.data)), done]
        return [Delta(Kind.CONTENT, event.data)]

    def sniff(self, event: Event) -> str | None:
        return None if event.type == "message" else f"the first event is named {event.type!r} and carries text"

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.post(prompt)
