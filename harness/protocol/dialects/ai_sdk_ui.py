"""The UI message stream of Vercel's AI SDK, versions 5 and 6 (docs/protocols.md#ai-sdk-ui).

Source: `uiMessageChunkSchema` and `UI_MESSAGE_STREAM_HEADERS` of the npm package `ai`.
"""

from typing import Any, Final

from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import counts, dig, object_of, text_in, unread
from streamgauge.protocol.eventstream import Event

_DELTAS: Final = {
    "text-delta": (Kind.CONTENT, "delta"),
    "reasoning-delta": (Kind.REASONING, "delta"),
    "tool-input-delta": (Kind.TOOL, "inputTextDelta"),
}
# Types that no other dialect has. `start`, `finish`, `file`, `abort` and `error` are words that others use, too.
_TYPES: Final = frozenset(
    {
        *_DELTAS, "text-start", "text-end", "reasoning-start", "reasoning-end", "start-step", "finish-step",
        "tool-input-start", "tool-input-available", "tool-input-error", "tool-output-available", "tool-output-error",
        "tool-output-denied", "tool-approval-request", "source-url", "source-document", "message-metadata",
    }
)  # fmt: skip


_DATA: Final = "data-"  # begins the types of an application's own parts, whose content is in `data`


class AiSdkUi(Defaults):
    name = "ai-sdk-ui"
    summary = 'Vercel AI SDK, UI message stream: data: {"type": "text-delta", ...}, then data: [DONE]'
    media = Media.SSE
    json_payload = True
    verbatim = True
    terminal = "data: [DONE]"
    marks_success = False  # the SDK writes it behind an error, too; the reason in `finish` says `error` then
    header = "x-vercel-ai-ui-message-stream"
    usual_path = "/api/chat"

    def deltas_in(self, event: Event) -> list[Delta]:
        if done := custom.done_of(event):
            return [done]
        payload = object_of(event.data)
        if payload is None:
            return unread(event.data)
        kind = text_in(payload, "type")
        if kind in _DELTAS:
            found, key = _DELTAS[kind]
            return [Delta(found, text_in(payload, key))]
        if kind == "finish":
            return [*_usage(payload), Delta(Kind.FINISH, value=text_in(payload, "finishReason") or "finish")]
        if kind == "abort":
            reason = text_in(payload, "reason")
            return [Delta(Kind.ERROR, value={"message": f"aborted: {reason}" if reason else "aborted"})]
        error = error_in(event, payload)
        return [error] if error else _usage(payload) or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:
        payload = object_of(event.data)
        kind = text_in(payload, "type")
        data = payload is not None and kind.startswith(_DATA) and "data" in payload
        return f'JSON objects with "type": "{kind}"' if data or kind in _TYPES else None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        message = {"id": "msg-1", "role": "user", "parts": [{"type": "text", "text": prompt}]}
        return RequestTemplate("POST", {"id": "chat-1", "messages": [message], "trigger": "submit-message"}, {})


def _usage(payload: dict[str, Any]) -> list[Delta]:
    """The usage that applications put into the metadata of the message, under the names of the SDK's own usage."""
    for name in ("usage", "totalUsage"):
        usage = dig(payload, "messageMetadata", name)
        found = counts(
            usage, input_tokens="inputTokens", output_tokens="outputTokens", cached_tokens="cachedInputTokens"
        )
        if found:
            return [Delta(Kind.USAGE, value=found)]
    return []
