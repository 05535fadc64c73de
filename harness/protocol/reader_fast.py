"""The fast path of reader.py for a body that has come whole: many pieces are cut and decoded at once.

Most pieces are one plain event each. A batch of pieces that the reader declines is halved, because the irregular events
of a stream are its first and its last ones.
Law: `feed_all` has the effect of `feed` for each piece, those of one read joined (test_reader.py:
test_a_body_read_at_once_equals_one_read_piece_by_piece). Pieces that are not plain go through `feed` itself.
"""

from collections.abc import Iterator
from itertools import count, repeat
from typing import Final, Protocol

from streamgauge.protocol.dialects.base import Delta, Dialect, Kind
from streamgauge.protocol.eventstream import Event
from streamgauge.protocol.eventstream_fast import many
from streamgauge.protocol.transcript import Found, Transcript

_BATCH: Final = 256  # pieces that are taken at once; a batch that is declined is halved
_WINDOW_BYTES: Final = 256 * 1024  # some 700 tokens, or 20 ms
_FEW: Final = 4  # a batch of at most this size is not halved but taken piece by piece

Piece = tuple[int, bytes]


class Feeds(Protocol):
    """What is fed: a StreamReader."""

    transcript: Transcript

    def feed(self, read: int, data: bytes) -> None:
        """Take one piece of the body."""

    def feed_plain(self, pieces: list[Piece]) -> bool:
        """The same for many pieces; False, and nothing is taken, unless all of them are plain events."""


def feed_all(reader: Feeds, body: list[Piece]) -> None:
    """Feed a whole body."""
    if len({read for read, _ in body}) < len(body):
        body = list(by_read(body))
    first = 0
    while first < len(body) and reader.transcript.dialect is None:
        reader.feed(*body[first])
        first += 1
    for start in range(first, len(body), _BATCH):
        _feed_batch(reader, body[start : start + _BATCH])


def windows(body: list[Piece]) -> Iterator[list[Piece]]:
    """The body in parts of about 256 KiB, none of which ends in the middle of a read."""
    start = size = 0
    for index, (read, data) in enumerate(body, 1):
        size += len(data)
        if index == len(body) or (size >= _WINDOW_BYTES and body[index][0] != read):
            yield body[start:index]
            start, size = index, 0


def _feed_batch(reader: Feeds, batch: list[Piece]) -> None:
    if reader.feed_plain(batch):
        return
    if len(batch) <= _FEW:
        for read, data in batch:
            reader.feed(read, data)
        return
    half = len(batch) // 2
    _feed_batch(reader, batch[:half])
    _feed_batch(reader, batch[half:])


def by_read(body: list[Piece]) -> Iterator[Piece]:
    """The pieces of a body, those of one read joined: the read is the unit of arrival, not the chunk."""
    index, size = 0, len(body)
    while index < size:
        read, data = body[index]
        index += 1
        if index < size and body[index][0] == read:
            parts = [data]
            while index < size and body[index][0] == read:
                parts.append(body[index][1])
                index += 1
            data = b"".join(parts)
        yield read, data


def runs_of(
    events: list[Event], dialect: Dialect, *, whole: bool = True
) -> Iterator[tuple[list[Event], list[str] | None]]:
    """The events in runs, each with its texts (`Dialect.texts`), or with None where each event must be decoded alone.

    `whole` is False for a part of a run that the dialect has declined.
    """
    texts = dialect.texts([event.data for event in events])
    if texts is not None or len(events) <= _FEW:
        yield events, texts
        return
    # At first only the last events are split off: the finish reason, the usage and the end marker are there.
    cut = len(events) - _FEW if whole else len(events) // 2
    yield from runs_of(events[:cut], dialect, whole=False)
    yield from runs_of(events[cut:], dialect, whole=False)


def contents(texts: list[str], first: int) -> list[Found]:
    """A CONTENT delta for each text, of the events from number `first` on."""
    return many(Found, count(first), many(Delta, repeat(Kind.CONTENT), texts, repeat(None)))
