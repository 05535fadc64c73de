"""`event: token | done | error`, each with a JSON object (docs/protocols.md#event-json)."""

from typing import Final

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event

TEXT_KEYS: Final = ("token", "text", "content", "delta")
"""Where the text of an event may be, the likeliest first."""


def _is_token(event: Event) -> bool:
    return event.type == "token" and isinstance(decode(event.data), dict)


class EventJson(Defaults):
    name = "event-json"
    summary = "application shape: event: token / done / error, each with a JSON object"
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "event: done"

    def deltas_in(self, event: Event) -> list[Delta]:
        payload = decode(event.data)
        if error := error_in(event, payload):
            return [error]
        if done := custom.done_of(event):
            return [*custom.finish_of(payload if isinstance(payload, dict) else None), done]
        if event.type == "ping":
            return [Delta(Kind.PING)]
        if not isinstance(payload, dict):
            return [Delta(Kind.META, value="not a JSON object")]
        for key in TEXT_KEYS:
            if isinstance(payload.get(key), str):
                return [Delta(Kind.CONTENT, payload[key])]
        return [Delta(Kind.META)]

    def owes_marker(self, token: Event) -> bool:  # noqa: ARG002 (the protocol's signature)
        """See `Dialect.owes_marker`."""
        return False

    def sniff(self, event: Event) -> str | None:
        return "events named 'token' with JSON objects" if _is_token(event) else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
