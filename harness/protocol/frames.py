"""Frames: successive token events of one stream are the same bytes around a text, so their texts can be cut out.

A frame is proven on one event: the event with another text in this place must give exactly that text. JSON then gives
any text in this place in the same way, as long as it is the inside of one JSON string (`Dialect.verbatim`).
"""

import re
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Final, NamedTuple

import msgspec

from streamgauge.protocol.dialects.base import Delta, Dialect, Kind
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.typed import decoder

# One `data` line, perhaps behind an `event` line: the frame leaves comments, ids and retry times to the reader.
_PLAIN_EVENT: Final = re.compile(rb"(?:event: ([^\r\n]*)\n)?data: ([^\r\n]*)\n\n")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_MOST_LAST: Final = 8  # events behind the last run of a stream: finish reason, usage, end marker
# Outside of a string, and inside of an escape, these letters are not JSON.
_PROBES: Final = ("q", "qq")

_text = decoder(str)


class Frame(NamedTuple):
    """An event's bytes before its text, opening quote included, and after it, blank line included."""

    prefix: bytes
    suffix: bytes
    kind: Kind

    def is_around(self, event: bytes) -> bool:
        """Whether an event is this frame around some text."""
        if not event.startswith(self.prefix) or not event.endswith(self.suffix):
            return False
        text = event[len(self.prefix) : -len(self.suffix)]
        return text != b"" and inside_of([text]) is not None


class Run(NamedTuple):
    """So many successive events of one frame, with so many characters of text in all."""

    events: int
    chars: int


def plain_event(raw: bytes, read: int) -> Event | None:
    """The event of these bytes, which this read completed; None unless they are plain. No dialect looks at an event's
    id and offset, so they are empty.
    """
    match = _PLAIN_EVENT.fullmatch(raw)
    if match is None:
        return None
    kind, data = match.groups(b"")
    return Event(kind.decode("utf-8", "replace") or "message", data.decode("utf-8", "replace"), "", 0, 0, read)


def frame_of(dialect: Dialect, event: Event, raw: bytes, delta: Delta) -> Frame | None:
    """The frame of a plain event with these bytes and this one token delta; None where it is not proven."""
    if not dialect.verbatim:
        return None
    probe = _PROBES[delta.text == _PROBES[0]]
    begin = raw.index(b"data: ") + 6
    for start, end in _places(raw, begin, delta.text):
        frame = Frame(raw[:start], raw[end:], delta.kind)
        try:
            data = (raw[begin:start] + probe.encode() + raw[end:-2]).decode()
        except UnicodeDecodeError:
            return None
        if dialect.deltas_in(event._replace(data=data)) == [Delta(delta.kind, probe)]:
            return frame
    return None


def _places(raw: bytes, begin: int, text: str) -> Iterator[tuple[int, int]]:
    """Where the inside of a JSON string with this value begins and ends; the likeliest place first."""
    quoted = msgspec.json.encode(text)
    likely = raw.rfind(quoted, begin)
    if likely >= 0:
        yield likely + 1, likely + len(quoted) - 1
    for match in _STRING.finditer(raw, begin):
        start, end = match.start() + 1, match.end() - 1
        if inside_of([raw[start:end]]) == text:
            yield start, end


def inside_of(texts: list[bytes]) -> str | None:
    """The texts joined by spaces, when each is the inside of one JSON string; else None.

    A space never is a part of an escape, and a quote would end the string, so the joined texts are one JSON string only
    if each of them is.
    """
    try:
        return _text.decode(b'"%b"' % b" ".join(texts))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def run_of(frame: Frame, pieces: list[bytes], first: int) -> Run | None:
    """The run of this frame's events that begins with this piece of the body; None without one.

    Each piece is one event. Events without text are no token events, and so do not belong to a run.
    """
    if not pieces[first].startswith(frame.prefix):
        return None
    # Other events in between are rare, so the run is first tried up to the last event of this frame. When that is not
    # near the end of the body, a run to it is not likely, and trying would cost too much for many short runs.
    for end in range(len(pieces), max(len(pieces) - _MOST_LAST, first), -1):
        if frame.is_around(pieces[end - 1]):
            if run := _run_in(frame, pieces[first:end]):
                return run
            break
    return _run_in(frame, list(takewhile(frame.is_around, islice(pieces, first, None))))


def _run_in(frame: Frame, events: list[bytes]) -> Run | None:
    """The run that these events are; None when they are not all of this frame, with text."""
    prefix, suffix, _ = frame
    begin, end = len(prefix), -len(suffix)
    texts = [event[begin:end] for event in events]
    if not all(texts) or prefix + (suffix + prefix).join(texts) + suffix != b"".join(events):
        return None
    text = inside_of(texts)
    return None if text is None else Run(len(texts), len(text) - len(texts) + 1)
