"""Ships records from a worker to the master in batches (go-back-N): in order, each exactly once, no silent loss.

A worker writes every record to a local file first and sends from there, so records that wait for a slow master are on
disk and not in memory. Records are numbered from 0 in the order of writing, and a batch has the number of its first
record. The master takes only the batch that begins where the last batch ended, and answers with the next number that it
expects. The answer acknowledges all earlier records; after a loss, the worker continues from that number.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final, NamedTuple

import msgspec

from streamgauge.clocks import Offset
from streamgauge.protocol.numbers import Count, Ns

BATCH_BYTES: Final = 64 * 1024
"""Size of a batch. Compressing more at once would block the worker's event loop for too long."""
WINDOW: Final = 8
"""Batches that may be sent without an acknowledgement; behind a slow master the others wait."""
MAX_BATCH_BYTES: Final = 64 * 1024 * 1024
"""Largest unpacked batch, and largest packed one. A record is limited to about a tenth of this."""
PIECE_BYTES: Final = 256 * 1024
"""A packed batch with a large record is sent in pieces of this size: the master takes no large message from anybody."""

MOST_HOST: Final = 64  # characters; HOST_NAME_MAX of Linux
MOST_READER: Final = 200

_LEVEL: Final = 1  # a quarter of the size, for a hundredth of the CPU time of the streams themselves


class Report(msgspec.Struct, kw_only=True):
    """A worker's message to the master, at least once a second: its counts, and a batch of records, which may be empty.

    `data` is the batch from `offset` on; `more` says that the rest of it follows.
    `sent_ns` is by the worker's clock and comes back in the answer; `closed` marks the last report. `stopped_ns` and
    `stepped_ns` are its `Vitals`.
    """

    host: Annotated[str, msgspec.Meta(max_length=MOST_HOST)]
    started: Count
    sent_ns: Ns
    first: Count = 0
    count: Count = 0
    data: bytes = b""
    offset: Count = 0
    more: bool = False
    closed: bool = False
    clock: Offset | None = None
    reader: Annotated[str, msgspec.Meta(max_length=MOST_READER)] | None = None
    stopped_ns: Ns = 0
    stepped_ns: Ns = 0


class Answer(msgspec.Struct, kw_only=True):
    """The number of the record that the master expects next, and the master's clock when it answered."""

    next: Count
    sent_ns: Ns
    at_ns: Ns
    closed: bool = False


class Piece(NamedTuple):
    """The part of a batch that one report carries."""

    first: int = 0
    records: int = 0
    data: bytes = b""
    offset: int = 0
    more: bool = False


NOTHING: Final = Piece()


class Batch(NamedTuple):
    """Successive records, as compressed lines."""

    first: Count
    records: int
    data: bytes

    def pieces(self) -> Iterator[Piece]:
        """The parts to send, in this order."""
        for offset in range(0, len(self.data), PIECE_BYTES):
            end = offset + PIECE_BYTES
            yield Piece(self.first, self.records, self.data[offset:end], offset, more=end < len(self.data))


class _Mark(NamedTuple):
    """A place in the spool: the offset at which the record of this number begins."""

    number: int
    offset: int


class Outbox:
    """The worker's side. `spool` is a file of its own, open for reading and writing."""

    def __init__(self, spool: BinaryIO) -> None:
        self._spool = spool
        self._written = _Mark(0, 0)
        self._acknowledged = _Mark(0, 0)
        self._cut: deque[_Mark] = deque()  # ends of the unacknowledged batches; the first `_sent` of them are sent
        self._sent = 0

    @property
    def added(self) -> int:
        """Number of records so far."""
        return self._written.number

    @property
    def waiting(self) -> int:
        """Records that the master has not acknowledged."""
        return self._written.number - self._acknowledged.number

    def add(self, line: bytes) -> None:
        """Keep one record: a line with its line end. Raises OSError when the disk is full."""
        self._spool.seek(self._written.offset)
        self._spool.write(line)
        self._written = _Mark(self._written.number + 1, self._written.offset + len(line))

    def flush(self) -> None:
        """Write what the spool still buffers: nobody does it when the process ends. Raises OSError on a full disk."""
        self._spool.flush()

    def batch(self) -> Batch | None:
        """The next batch to send; None when everything is sent, or WINDOW batches wait for their acknowledgement."""
        begin = self._cut[self._sent - 1] if self._sent else self._acknowledged
        if self._sent == len(self._cut):
            if self._sent >= WINDOW or begin == self._written:
                return None
            self._cut.append(self._end_of_batch(begin))
        end = self._cut[self._sent]
        self._sent += 1
        self._spool.seek(begin.offset)
        lines = self._spool.read(end.offset - begin.offset)
        return Batch(begin.number, end.number - begin.number, zlib.compress(lines, _LEVEL))

    def acknowledge(self, next_number: int) -> None:
        """The master has every record below this number."""
        while self._cut and self._cut[0].number <= next_number:
            self._acknowledged = self._cut.popleft()
            self._sent = max(self._sent - 1, 0)

    def again(self) -> None:
        """Send all unacknowledged batches again. Their limits stay: the master takes only whole batches."""
        self._sent = 0

    def _end_of_batch(self, begin: _Mark) -> _Mark:
        self._spool.seek(begin.offset)
        number, offset = begin
        while number < self._written.number and offset - begin.offset < BATCH_BYTES:
            offset += len(self._spool.readline())
            number += 1
        return _Mark(number, offset)


class Inbox:
    """The master's side of one worker."""

    def __init__(self) -> None:
        self.next = 0
        self._packed = b""  # of the batch that comes in pieces

    def open(self, report: Report) -> bytes:
        """The lines of the batch, if it is complete and the next in order; else nothing: it came before, or too early.

        Call `taken` when they are stored. Raises ValueError on a batch that contradicts its own counts.
        """
        if not report.count or report.first != self.next:
            return b""
        before = b"" if report.offset == 0 else self._packed
        self._packed = b""
        if report.offset != len(before):
            return b""  # a piece was lost: the worker sends the batch again
        packed = before + report.data
        if report.more and len(packed) <= MAX_BATCH_BYTES:
            self._packed = packed
            return b""
        unpacker = zlib.decompressobj()
        try:
            lines = unpacker.decompress(packed, MAX_BATCH_BYTES)
        except zlib.error as error:
            raise ValueError(f"the batch cannot be unpacked: {error}") from None
        if not unpacker.eof or lines.count(b"\n") != report.count or not lines.endswith(b"\n"):
            raise ValueError(f"the batch announces {report.count} records, but holds another number of lines")
        return lines

    def taken(self, report: Report) -> None:
        """The lines of this report are stored."""
        self.next += report.count
