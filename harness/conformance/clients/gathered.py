"""What a client that gathers hands on less than the strict reading has."""

from collections.abc import Sequence

from streamgauge.conformance.cases import printable
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Message
from streamgauge.conformance.clients.strict_reading import ReferenceReading
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode


def gathered_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int | None] | None:
    """What the client's caller does not get, and the offset of the first event that is missing."""
    return _text_loss(reading, messages) or _arguments_loss(reading, messages) or _error_loss(reading)


def _text_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int | None] | None:
    expected = "".join(delta.text for deltas in reading.deltas for delta in deltas if delta.kind is Kind.CONTENT)
    found = "".join(message.data for message in messages if message.type == TEXT)
    # Several choices alternate in the stream, and follow each other in a finished message.
    if sorted(found) == sorted(expected):
        return None
    same = next((n for n, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), len(found))
    missing, instead = printable(expected[same:], 60), printable(found[same:], 60)
    if not found:
        told = f"its caller gets none of the text: {missing!r}"
    elif instead:
        told = f"its caller gets {instead!r} where the stream has {missing!r}"
    else:
        told = f"its caller gets {len(found):,} of the {len(expected):,} characters of text, without {missing!r}"
    return told, _offset_of(reading, Kind.CONTENT, same)


def _arguments_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int | None] | None:
    calls = [message.data for message in messages if message.type == ARGUMENTS]
    streamed = any(delta.text for deltas in reading.deltas for delta in deltas if delta.kind is Kind.TOOL)
    if streamed and not any(calls):
        return "its caller gets no arguments of the tool call", _offset_of(reading, Kind.TOOL, 0)
    for number, arguments in enumerate(calls, 1):
        if arguments and isinstance(problem := decode(arguments), NotJson):
            what = f"the arguments of tool call {number} that its caller gets are not JSON"
            return f"{what}: {printable(arguments, 60)!r} ({problem.reason})", _offset_of(reading, Kind.TOOL, 0)
    return None


def _error_loss(reading: ReferenceReading) -> tuple[str, int | None] | None:
    """A client that reported the error does not get here."""
    error = reading.first(Kind.ERROR)
    return None if error is None else ("its caller is not told of the error", reading.offset(error))


def _offset_of(reading: ReferenceReading, kind: Kind, position: int) -> int | None:
    """The offset of the event that carries character `position` of the text of `kind`; of the last one before it, if
    the stream has fewer characters; None without any such text.
    """
    last: int | None = None
    passed = 0
    for index, deltas in enumerate(reading.deltas):
        size = sum(len(delta.text) for delta in deltas if delta.kind is kind)
        if size:
            last, passed = index, passed + size
        if passed > position:
            break
    return None if last is None else reading.offset(last)
