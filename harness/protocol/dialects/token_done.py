"""`data: {"token": "...", "done": false}`, ended by `"done": true` or `[DONE]` (docs/protocols.md#token-done)."""

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event


class TokenDone(Defaults):
    name = "token-done"
    summary = 'application shape: data: {"token": "...", "done": false}, then "done": true'
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = '"done": true'

    def deltas_in(self, event: Event) -> list[Delta]:
        if done := custom.done_of(event):
            return [done]
        payload = decode(event.data)
        if error := error_in(event, payload):
            return [error]
        if not isinstance(payload, dict):
            return [Delta(Kind.META, value="not a JSON object")]
        deltas = []
        token = payload.get("token")
        if isinstance(token, str) and token:
            deltas.append(Delta(Kind.CONTENT, token))
        if payload.get("done") is True:
            deltas += [*custom.finish_of(payload), Delta(Kind.DONE)]
        return deltas or [Delta(Kind.META)]

    def owes_marker(self, token: Event) -> bool:
        """See `Dialect.owes_marker`. An object that says it is not done announces one that is."""
        return '"done"' in token.data

    def sniff(self, event: Event) -> str | None:
        payload = decode(event.data)
        if event.type != "message" or not isinstance(payload, dict):
            return None
        # The events of Text Generation Inference have an object under `token`: they are another shape.
        known = isinstance(payload.get("token"), str) or isinstance(payload.get("done"), bool)
        return 'JSON objects with "token" or "done"' if known else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.post(prompt)
