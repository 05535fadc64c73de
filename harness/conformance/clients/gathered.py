"""What a client's finished message lacks, compared with the deltas of the strict reading."""

from collections.abc import Sequence

from streamgauge.conformance.cases import printable
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Message
from streamgauge.conformance.clients.strict_reading import ReferenceReading
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode


def gathered_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int] | None:
    """Why the finished message is not the stream's, and the offset of the first event that is missing from it."""
    return _text_loss(reading, messages) or _arguments_loss(reading, messages)


def _text_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int] | None:
    expected = "".join(delta.text for deltas in reading.deltas for delta in deltas if delta.kind is Kind.CONTENT)
    found = "".join(message.data for message in messages if message.type == TEXT)
    # Several choices alternate in the stream, and follow each other in the finished message.
    if sorted(found) == sorted(expected):
        return None
    same = next((n for n, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), len(found))
    what = f"holds {len(found):,} of the {len(expected):,} characters of text" if found else "is empty"
    offset = _offset_of(reading, Kind.CONTENT, same)
    return f"its finished message {what}; the stream carries {printable(expected[same:], 60)!r} there", offset


def _arguments_loss(reading: ReferenceReading, messages: Sequence[Message]) -> tuple[str, int] | None:
    calls = [message.data for message in messages if message.type == ARGUMENTS]
    streamed = any(delta.text for deltas in reading.deltas for delta in deltas if delta.kind is Kind.TOOL)
    if streamed and not any(calls):
        return "its finished message has no arguments of the tool call", _offset_of(reading, Kind.TOOL, 0)
    for number, arguments in enumerate(calls, 1):
        if arguments and isinstance(problem := decode(arguments), NotJson):
            what = f"the arguments of tool call {number} in its finished message are not JSON"
            return f"{what}: {printable(arguments, 60)!r} ({problem.reason})", _offset_of(reading, Kind.TOOL, 0)
    return None


def _offset_of(reading: ReferenceReading, kind: Kind, position: int) -> int:
    """The offset of the event that carries character `position` of the text of `kind`; of the last one before it, if
    the stream has fewer characters.
    """
    last = passed = 0
    for index, deltas in enumerate(reading.deltas):
        size = sum(len(delta.text) for delta in deltas if delta.kind is kind)
        if size:
            last, passed = index, passed + size
        if passed > position:
            break
    return reading.offset(last) if reading.events else 0
