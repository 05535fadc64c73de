"""The chunks of the Vercel AI SDK's UI message stream, as `uiMessageChunkSchema` of npm ai 7.0.173 has them.

useChat() raises for a chunk that does not fit, and for a type that is not here and does not begin with `data-`. No
member that may be missing may be null.
"""

from typing import Final

from streamgauge.conformance.schemas.build import ARRAY, BOOLEAN, OBJECT, STRING, one_of, record
from streamgauge.conformance.schemas.definition import Definition, Schema

_META: Final = {"providerMetadata": OBJECT}
_TOOL: Final = {**_META, "toolMetadata": OBJECT, "providerExecuted": BOOLEAN, "dynamic": BOOLEAN}
_REASONS: Final = ("stop", "length", "content-filter", "tool-calls", "error", "interrupted", "other")


def _of(optional: dict[str, Schema], *strings: str, anything: str | None = None) -> Schema:
    """An object with these strings, and a member that may be of any type."""
    required = dict.fromkeys(strings, STRING)
    return record(required | ({anything: {}} if anything else {}), optional=optional)


_NAMED_TOOL: Final = {**_TOOL, "title": STRING}
DEFINITION: Final = Definition(
    {
        "start": record(optional={"messageId": STRING}),
        "finish": record(optional={"finishReason": one_of(*_REASONS)}),
        "abort": record(optional={"reason": STRING}),
        "error": _of({}, "errorText"),
        "message-metadata": _of({}, anything="messageMetadata"),
        "start-step": record(),
        "finish-step": record(),
        "reset-step": record(),
        "text-start": _of(_META, "id"),
        "text-delta": _of(_META, "id", "delta"),
        "text-end": _of({**_META, "citations": ARRAY}, "id"),
        "reasoning-start": _of(_META, "id"),
        "reasoning-delta": _of(_META, "id", "delta"),
        "reasoning-end": _of(_META, "id"),
        "tool-input-start": _of({**_NAMED_TOOL, "inputEncoding": one_of("json", "text")}, "toolCallId", "toolName"),
        "tool-input-delta": _of({}, "toolCallId", "inputTextDelta"),
        "tool-input-available": _of(_NAMED_TOOL, "toolCallId", "toolName", anything="input"),
        "tool-input-error": _of(_NAMED_TOOL, "toolCallId", "toolName", "errorText", anything="input"),
        "tool-approval-request": _of(
            {"reason": STRING, "isAutomatic": BOOLEAN, "signature": STRING}, "approvalId", "toolCallId"
        ),
        "tool-approval-response": record(
            {"approvalId": STRING, "approved": BOOLEAN},
            optional={**_META, "reason": STRING, "providerExecuted": BOOLEAN},
        ),
        "tool-output-available": _of({**_TOOL, "preliminary": BOOLEAN}, "toolCallId", anything="output"),
        "tool-output-error": _of(_TOOL, "toolCallId", "errorText"),
        "tool-output-denied": _of({}, "toolCallId"),
        "source-url": _of({**_META, "title": STRING}, "sourceId", "url"),
        "source-document": _of({**_META, "filename": STRING}, "sourceId", "mediaType", "title"),
        "file": _of(_META, "url", "mediaType"),
        "reasoning-file": _of(_META, "url", "mediaType"),
        "custom": _of(_META, "kind"),
        "steering-message": record({"id": STRING, "parts": ARRAY}),
    }
)
