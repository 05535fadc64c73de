"""A SignalR hub's messages in JSON: a record each, ended by 0x1E (docs/dotnet.md#signalr-hubs).

https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md. An event has one record or more;
the reader makes an event of each. A target file describes a hub, so that it is never detected.
"""

from typing import Any, Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import Defaults, Delta, Dialect, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import object_of, unread
from streamgauge.protocol.eventstream import Event

RECORD_END: Final = "\x1e"
HANDSHAKE: Final = b'{"protocol":"json","version":1}\x1e'
CANCEL: Final = b'{"type":5,"invocationId":"0"}\x1e'
_ID: Final = "0"  # of the invocation: a connection has one
_ITEM, _COMPLETION, _STREAM_INVOCATION, _PING, _CLOSE = 2, 3, 4, 6, 7
_NO_TEXT: Final = 'an item is not a text ([stream] text = "/..." in the target file says where an item has its text)'


class HubTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The [signalr] table of a target file: the hub's streaming method, and its arguments, any JSON values.

    The prompt replaces `{{prompt}}` in them.
    """

    method: str
    arguments: list[Any] = msgspec.field(default_factory=lambda: ["{{prompt}}"])

    def invocation(self) -> str:
        """The StreamInvocation, with the prompt's placeholder. Raises UsageError on a method that cannot be called."""
        if not self.method.strip():
            raise UsageError("the hub's method has no name", "write for example --hub-method Ask")
        message = {"type": _STREAM_INVOCATION, "invocationId": _ID, "target": self.method, "arguments": self.arguments}
        return msgspec.json.encode(message).decode() + RECORD_END


def is_last(message: dict[str, Any]) -> bool:
    """Whether nothing of the invocation can follow this message: its Completion, or the hub's Close."""
    return message.get("type") == _CLOSE or (message.get("type") == _COMPLETION and message.get("invocationId") == _ID)


class SignalR(Defaults):
    """`items` reads an item that is not a text; None: there are only texts."""

    name = "signalr"
    summary = "messages of a SignalR hub in JSON, each ended by 0x1E"
    media = Media.SSE
    json_payload = False
    terminal = "a Completion message"
    separator = RECORD_END

    def __init__(self, items: Dialect | None = None) -> None:
        self._items = items
        self.so_far = items is not None and items.so_far

    def deltas_in(self, event: Event) -> list[Delta]:
        record = event.data.removesuffix(RECORD_END)
        if record == event.data and record.strip():
            return [Delta(Kind.META, value="a record lacks its end, 0x1E")]
        message = object_of(record)
        if message is None:
            return unread(record) if record.strip() else [Delta(Kind.META)]
        kind, error = message.get("type"), message.get("error")
        if kind == _PING:
            return [Delta(Kind.PING)]
        if kind in (_ITEM, _COMPLETION) and message.get("invocationId") != _ID:
            return [Delta(Kind.META)]
        if kind == _ITEM:
            return self._item(event, message.get("item"))
        if error and kind in (None, _COMPLETION, _CLOSE):  # without a type it is the answer to the handshake
            return [Delta(Kind.ERROR, value=error)]
        return [Delta(Kind.DONE if kind == _COMPLETION else Kind.META)]

    def _item(self, event: Event, item: Any) -> list[Delta]:
        if isinstance(item, str):
            return [Delta(Kind.CONTENT, item)]
        if self._items is not None:
            return self._items.deltas_in(event._replace(data=msgspec.json.encode(item).decode()))
        if item is None:
            return [Delta(Kind.META)]
        return [error_in(event, item) or Delta(Kind.META, value=_NO_TEXT)]

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - it is described, never detected
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.post(prompt)
