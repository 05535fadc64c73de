"""A dialect that the user describes: JSON pointers say where the text is (docs/protocols.md#by-pointer).

Any stream of JSON, in events or in lines, can be read so without code.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects import custom
from streamgauge.protocol.dialects.base import SO_FAR, Defaults, Delta, Kind, Media, RequestTemplate
from streamgauge.protocol.dialects.foreign import error_in
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.eventstream import Event

NAME: Final = "by-pointer"
CLOSE: Final = "close"
_EACH: Final = "*"
_EXAMPLE: Final = 'write for example text = "/choices/0/delta/content"'

Pointer = tuple[str, ...]


class EndMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ends a stream: an event with this name, one with these data, or a payload with `value` at `pointer`.

    Without a `value`, any value but null and false at the pointer ends it.
    """

    event: str | None = None
    data: str | None = None
    pointer: str | None = None
    value: bool | int | float | str | None = None


class StreamTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The [stream] table of a target file. Pointers are RFC 6901; `*` stands for every item of an array."""

    text: str | list[str]
    reasoning: str | list[str] = []
    events: list[str] = []
    end: str | EndMark = CLOSE
    error: str | None = None
    cumulative: bool = False

    def dialect(self) -> "ByPointer":
        """The dialect that the table describes. Raises UsageError on a pointer or an end that cannot be used."""
        return ByPointer(self)


class ByPointer(Defaults):
    name = NAME
    summary = "a shape that the [stream] table of a target file describes"
    media = Media.SSE
    json_payload = True
    also_lines = True

    def __init__(self, table: StreamTable) -> None:
        self._text = [parse(pointer, "text") for pointer in _listed(table.text)]
        self._reasoning = [parse(pointer, "reasoning") for pointer in _listed(table.reasoning)]
        if not self._text:
            raise UsageError("[stream] text names no place", _EXAMPLE)
        self._error = None if table.error is None else parse(table.error, "error")
        self.events = frozenset(table.events)
        self._end = _end_mark(table.end)
        self._end_at = None if self._end.pointer is None else parse(self._end.pointer, "end.pointer")
        self._mark = SO_FAR if table.cumulative else None
        self.so_far = table.cumulative
        self.verbatim = not table.cumulative and self._end_at is None

    @cached_property
    def terminal(self) -> str | None:
        """The end marker in words; None for a stream that ends with its body."""
        end = self._end
        if end.event is not None:
            return f"event: {end.event}"
        if end.data is not None:
            return f"data: {end.data}"
        if end.pointer is None:
            return None
        return end.pointer if end.value is None else f"{end.pointer} = {msgspec.json.encode(end.value).decode()}"

    def deltas_in(self, event: Event) -> list[Delta]:
        if self._marked(event):
            return [Delta(Kind.DONE)]
        payload = decode(event.data)
        if isinstance(payload, NotJson):
            # A sentinel such as [DONE] beside another end marker is not a defect of the stream.
            error = error_in(event, payload)
            return [error or (Delta(Kind.META) if custom.done_of(event) else Delta(Kind.META, value="not JSON"))]
        if error := self._error_in(event, payload):
            return [error]
        deltas: list[Delta] = []
        if self._reads(event):
            deltas += self._tokens_in(payload)
        if self._ends_by_value(payload):
            deltas.append(Delta(Kind.DONE))
        return deltas or [Delta(Kind.META)]

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - it is described, never detected
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> RequestTemplate:  # noqa: ARG002 - nowhere to put them
        return custom.post(prompt)

    def left_out(self, event: Event) -> bool:
        """Whether the event carries text where the table says, but a name that its `events` does not list."""
        return not self._reads(event) and not self._marked(event) and bool(self._tokens_in(decode(event.data)))

    def _reads(self, event: Event) -> bool:
        return not self.events or event.type in self.events or event.type == "line"

    def _marked(self, event: Event) -> bool:
        return event.type == self._end.event or (self._end.data is not None and event.data == self._end.data)

    def _error_in(self, event: Event, payload: Any) -> Delta | None:
        for value in () if self._error is None else _values(payload, self._error):
            if value:
                return Delta(Kind.ERROR, value=value)
        return error_in(event, payload)

    def _tokens_in(self, payload: Any) -> list[Delta]:
        return [
            *self._found(Kind.REASONING, self._reasoning, payload),
            *self._found(Kind.CONTENT, self._text, payload),
        ]

    def _found(self, kind: Kind, pointers: list[Pointer], payload: Any) -> list[Delta]:
        text = "".join(text for pointer in pointers for text in _values(payload, pointer) if isinstance(text, str))
        return [Delta(kind, text, self._mark)] if text else []

    def _ends_by_value(self, payload: Any) -> bool:
        if self._end_at is None:
            return False
        wanted = self._end.value
        found = _values(payload, self._end_at)
        if wanted is None:
            return any(value is not None and value is not False for value in found)
        return any(value == wanted and isinstance(value, bool) is isinstance(wanted, bool) for value in found)


def parse(text: str, key: str) -> Pointer:
    """The steps of a JSON pointer. Raises UsageError that names the key of the table."""
    if not text:
        return ()
    if not text.startswith("/"):
        raise UsageError(f"[stream] {key} = {text!r} is not a JSON pointer: it must begin with /", _EXAMPLE)
    if "~" in text.replace("~0", "").replace("~1", ""):
        raise UsageError(f"[stream] {key} = {text!r} is not a JSON pointer: after ~ comes 0 or 1", "write ~0 for ~")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def _values(value: Any, pointer: Pointer) -> Iterator[Any]:
    """The values at a pointer: several for one with `*`, none where the place is missing."""
    if not pointer:
        yield value
        return
    step, rest = pointer[0], pointer[1:]
    if isinstance(value, dict):
        if step in value:
            yield from _values(value[step], rest)
    elif isinstance(value, list):
        if step == _EACH:
            for item in value:
                yield from _values(item, rest)
        elif step.isascii() and step.isdecimal() and int(step) < len(value):
            yield from _values(value[int(step)], rest)


def _listed(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _end_mark(given: str | EndMark) -> EndMark:
    """The end in one form; none of the three for a stream that ends with its body."""
    if isinstance(given, str):
        if given != CLOSE:
            raise UsageError(
                f'[stream] end = "{given}" is not known',
                'write "close", { event = "done" }, { data = "[DONE]" } or { pointer = "/done", value = true }',
            )
        return EndMark()
    if sum(mark is not None for mark in (given.event, given.data, given.pointer)) != 1:
        raise UsageError("[stream] end needs exactly one of event, data and pointer", 'write { event = "done" }')
    if given.value is not None and given.pointer is None:
        raise UsageError("[stream] end has a value without a pointer", 'write { pointer = "/done", value = true }')
    return given
