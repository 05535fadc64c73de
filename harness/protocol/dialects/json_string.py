"""`data: "token"` as a JSON string, ended by `data: [DONE]` (docs/protocols.md#json-string)."""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event


class JsonString(Defaults):
    name = "json-string"
    summary = 'application shape: data: "token" as a JSON string, then data: [DONE]'
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "data: [DONE]"

    def deltas_in(self, event: Event) -> list[Delta]:
        if done := custom.done_of(event):
            return [done]
        payload = decode(event.data)
        if error := error_in(event, payload):
            return [error]
        if isinstance(payload, str):
            return [Delta(Kind.CONTENT, payload)]
        return [Delta(Kind.META, value="not a JSON string")]

    def owes_marker(self, token: Event) -> bool:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.owes_marker`."""
        return False

    def sniff(self, event: Event) -> str | None:
        return "JSON strings" if isinstance(decode(event.data), str) else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
