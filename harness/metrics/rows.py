"""Rows of whole numbers in bounded memory: the newest in an array, the rest in a file."""

from array import array
from collections.abc import Iterator, Sequence
from io import RawIOBase
from typing import Final

_BATCH: Final = 4_096  # rows that are kept in memory
_NUMBER_BYTES: Final = 8


class Rows:
    """Rows of `width` whole numbers below 2^63, in the order in which they were added.

    `spool` is an empty file without a buffer that takes all but the newest rows. Without one, or when it cannot be
    written, such as on a full disk, all rows stay in memory.
    """

    def __init__(self, width: int, spool: RawIOBase | None = None, batch: int = _BATCH) -> None:
        self._width = width
        self._most = width * batch
        self._newest = array("q")
        self._spool = spool
        self._written = 0  # bytes
        self._writes = spool is not None

    def add(self, row: Sequence[int]) -> None:
        """Append one row."""
        self._newest.extend(row)
        if self._writes and len(self._newest) >= self._most:
            self._writes = self._write()

    def __len__(self) -> int:
        return (self._written // _NUMBER_BYTES + len(self._newest)) // self._width

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        for begin in range(0, self._written, self._most * _NUMBER_BYTES):
            yield from self._rows(self._read(begin))
        yield from self._rows(self._newest)

    def _rows(self, numbers: "array[int]") -> Iterator[tuple[int, ...]]:
        return zip(*[iter(numbers)] * self._width, strict=True)

    def _write(self) -> bool:
        """Move the newest rows to the file. Returns whether that worked."""
        assert self._spool is not None
        content = self._newest.tobytes()
        try:
            self._spool.seek(self._written)
            if self._spool.write(content) != len(content):
                return False
        except OSError:
            return False
        self._written += len(content)
        self._newest = array("q")
        return True

    def _read(self, begin: int) -> "array[int]":
        assert self._spool is not None
        self._spool.seek(begin)
        numbers = array("q")
        numbers.frombytes(self._spool.read(self._most * _NUMBER_BYTES) or b"")
        return numbers
