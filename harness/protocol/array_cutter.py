"""Cuts a JSON array that grows into its items, as ASP.NET Core writes an IAsyncEnumerable: `[{"token":"a"},…`."""

from typing import Final

from streamgauge.errors import LimitExceeded
from streamgauge.protocol.eventstream import MAX_LINE_BYTES, Event

_QUOTE, _ESCAPE, _COMMA = b'"\\,'
_OPENING: Final = frozenset(b"[{")
_CLOSING: Final = frozenset(b"]}")
_BETWEEN: Final = frozenset(b" \t\r\n,")


def first_item(data: bytes) -> bytes | None:
    """The first item of the array that begins with `data`; None while it is incomplete, and for an empty array."""
    events = ArrayCutter().feed(data[: MAX_LINE_BYTES // 2], 0)
    return events[0].data.encode() if events else None


class ArrayCutter:
    """Each item of the outer array is one event. `closed`: the array has ended."""

    def __init__(self) -> None:
        self.closed = False
        self._item = bytearray()
        self._start = 0  # offset of the item in the body
        self._offset = 0
        self._depth = 0  # 1: between the items of the outer array
        self._in_text = self._escaped = False

    def feed(self, data: bytes, read: int) -> list[Event]:
        """The items that are complete: a text or an object with its last character, a number with what follows it."""
        events: list[Event] = []
        for index, byte in enumerate(data, self._offset):
            between = self._depth == 1 and not self._in_text
            if between and (byte == _COMMA or byte in _CLOSING) and self._item:
                events.append(self._event(read))
            outside = self._depth == 0 or (between and byte in _BETWEEN)
            self._step(byte)
            if self._depth >= 1 and not outside:
                self._keep(byte, index)
                if self._depth == 1 and not self._in_text and (byte == _QUOTE or byte in _CLOSING):
                    events.append(self._event(read))
        self._offset += len(data)
        return events

    def _step(self, byte: int) -> None:
        """The depth after this byte, and whether it is inside a string."""
        if self._in_text:
            self._in_text = self._escaped or byte != _QUOTE
            self._escaped = not self._escaped and byte == _ESCAPE
        elif byte == _QUOTE:
            self._in_text = True
        elif byte in _OPENING:
            self._depth += 1
        elif byte in _CLOSING:
            self._depth -= 1
            self.closed = self.closed or self._depth == 0

    def _keep(self, byte: int, index: int) -> None:
        if not self._item:
            self._start = index
        self._item.append(byte)
        if len(self._item) > MAX_LINE_BYTES:
            raise LimitExceeded(
                f"an item of the array is longer than {MAX_LINE_BYTES:,} bytes (it starts at byte {self._start:,})",
                "an item this long breaks most clients: send the content in smaller objects",
            )

    def _event(self, read: int) -> Event:
        text = self._item.decode("utf-8", "replace")
        event = Event("message", text, "", self._start, self._start + len(self._item), read)
        self._item.clear()
        return event

    def finish(self, read: int) -> list[Event]:  # noqa: ARG002
        """None: an item that the end of the body leaves unfinished is no token."""
        return []
