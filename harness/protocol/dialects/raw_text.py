"""`data: text`, nothing else (docs/protocols.md#raw-text).

Detection tries it last, because every event stream can be read this way.
"""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.eventstream import Event


class RawText(Defaults):
    name = "raw-text"
    summary = "application shape: data: text, ended by the end of the body"
    media = Media.SSE
    json_payload = False
    terminal = None

    def deltas_in(self, event: Event) -> list[Delta]:
        if error := custom.error_of(event, None):
            return [error]
        if done := custom.done_of(event):
            return [done]
        return [Delta(Kind.CONTENT, event.data)]

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - every event can be text
        return "no other dialect recognises the first event"

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
