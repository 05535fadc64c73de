"""Records on their way from a worker to the master: in batches, in order, each taken once, none lost silently.

A worker writes every record to a local file first and sends from there, so what waits for a slow master lies on disk
and not in memory. Records are numbered from 0 in the order they were written; a batch says which number it begins
with. The master takes only the batch that begins where the last one ended and answers with the number it expects next:
that acknowledges, and after a loss it says where to go on. (Go-back-N.)
"""

import zlib
from collections import deque
from typing import BinaryIO, Final, NamedTuple

import msgspec

from streamgauge.clocks import Offset

BATCH_BYTES: Final = 64 * 1024
"""Lines are gathered up to this size; to compress more at once would hold up the worker's event loop."""
WINDOW: Final = 8
"""Batches on their way without an acknowledgement; a slow master stops the rest here."""
MAX_BATCH_BYTES: Final = 64 * 1024 * 1024
"""What one batch may unpack to. A record is bounded to about a tenth of it."""

_LEVEL: Final = 1  # a quarter of the size for a hundredth of what the streams cost


class Report(msgspec.Struct, kw_only=True):
    """What a worker tells the master at least once a second: its counts, and with them a batch, empty if none.

    `sent_ns` is by the worker's clock and comes back in the answer; `closed` says that nothing more will come.
    """

    host: str
    started: int
    sent_ns: int
    first: int = 0
    count: int = 0
    data: bytes = b""
    closed: bool = False
    clock: Offset | None = None


class Answer(msgspec.Struct, kw_only=True):
    """The number of the record that the master expects next, and the master's clock when it answered."""

    next: int
    sent_ns: int
    at_ns: int
    closed: bool = False


class Batch(NamedTuple):
    """Some successive records, compressed lines."""

    first: int
    records: int
    data: bytes


class _Mark(NamedTuple):
    """A place in the spool: before the record of this number, at this offset."""

    number: int
    offset: int


class Outbox:
    """The worker's side. `spool` is a file open for reading and writing that nobody else uses."""

    def __init__(self, spool: BinaryIO) -> None:
        self._spool = spool
        self._written = _Mark(0, 0)
        self._acknowledged = _Mark(0, 0)
        self._cut: deque[_Mark] = deque()  # the ends of the batches that are not acknowledged, the first `_sent` sent
        self._sent = 0

    @property
    def added(self) -> int:
        """Records so far."""
        return self._written.number

    @property
    def waiting(self) -> int:
        """Records that the master has not acknowledged."""
        return self._written.number - self._acknowledged.number

    def add(self, line: bytes) -> None:
        """Keep one record: a line with its end. Raises OSError when the disk is full."""
        self._spool.seek(self._written.offset)
        self._spool.write(line)
        self._written = _Mark(self._written.number + 1, self._written.offset + len(line))

    def batch(self) -> Batch | None:
        """The next to send; None when all is sent, or enough is under way."""
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
        """Send once more what was not acknowledged, in the same batches: the master takes whole ones."""
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

    def open(self, report: Report) -> bytes:
        """The lines that are new and in their turn: nothing for a batch that was taken already or is too early.

        Call `taken` when they are stored. Raises ValueError on a batch that is not what it says.
        """
        if not report.count or report.first != self.next:
            return b""
        unpacker = zlib.decompressobj()
        try:
            lines = unpacker.decompress(report.data, MAX_BATCH_BYTES)
        except zlib.error as error:
            raise ValueError(f"a batch that cannot be unpacked: {error}") from None
        if not unpacker.eof or lines.count(b"\n") != report.count or not lines.endswith(b"\n"):
            raise ValueError(f"a batch of {report.count} records whose lines are not as many")
        return lines

    def taken(self, report: Report) -> None:
        """The lines of this report are stored."""
        self.next += report.count
