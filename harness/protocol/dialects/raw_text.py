"""`data: text`, nothing else (docs/protocols.md#raw-text).

Detection tries it last, because every event stream can be read this way.
"""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Media, RequestTemplate
from streamgauge.protocol.dialects.text_payload import text_deltas
from streamgauge.protocol.eventstream import Event


class RawText(Defaults):
    """`amid_json`: other payloads of the stream are text, so a payload that is a JSON object is not a token."""

    name = "raw-text"
    summary = "application shape: data: text, ended by the end of the body"
    media = Media.SSE
    json_payload = False
    terminal = None

    def __init__(self, *, amid_json: bool = False) -> None:
        self._amid_json = amid_json

    def deltas_in(self, event: Event) -> list[Delta]:
        return text_deltas(event, amid_json=self._amid_json)

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - every event can be text
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
