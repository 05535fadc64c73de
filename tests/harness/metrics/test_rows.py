"""Rows of whole numbers: what comes out is what went in, wherever the rows are kept."""

from collections.abc import Iterator
from io import BytesIO, RawIOBase
from tempfile import TemporaryFile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.rows import Rows


@pytest.fixture
def spool() -> Iterator[RawIOBase]:
    with TemporaryFile(buffering=0) as file:
        yield file


NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40), st.integers(1, 7))
def test_rows_come_back_in_order(rows: list[tuple[int, int]], batch: int) -> None:
    with TemporaryFile(buffering=0) as spool:
        must_come_back(Rows(2, spool, batch), rows)


def must_come_back(found: Rows, rows: list[tuple[int, int]]) -> None:
    for number, row in enumerate(rows):
        found.add(row)
        assert len(found) == number + 1
    assert list(found) == rows
    assert list(found) == rows  # a second look changes nothing


def test_only_the_newest_rows_are_in_memory(spool: RawIOBase) -> None:
    found = Rows(3, spool, batch=10)
    for number in range(1_005):
        found.add((number, -number, 7))

    assert len(found._newest) == 5 * 3
    assert list(found)[-1] == (1_004, -1_004, 7)


def test_rows_may_be_added_between_two_looks(spool: RawIOBase) -> None:
    found = Rows(1, spool, batch=4)
    for number in range(6):
        found.add((number,))
    assert list(found) == [(number,) for number in range(6)]
    for number in range(6, 11):
        found.add((number,))
    assert list(found) == [(number,) for number in range(11)]


class FullDisk(RawIOBase):
    """A file that takes `room` bytes, and then nothing or a part."""

    def __init__(self, room: int, *, raises: bool) -> None:
        self._content, self._room, self._raises = BytesIO(), room, raises

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._content.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(size)

    def write(self, content: Any, /) -> int:
        left = self._room - self._content.tell()
        if self._raises and left < len(memoryview(content)):
            raise OSError(28, "No space left on device")
        return self._content.write(bytes(content)[:left])


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("room", [0, 30, 64, 70])
def test_without_room_in_the_file_the_rows_stay_in_memory(room: int, raises: bool) -> None:
    found = Rows(1, FullDisk(room, raises=raises), batch=4)
    for number in range(50):
        found.add((number,))

    assert list(found) == [(number,) for number in range(50)]


def test_without_a_file_all_rows_are_in_memory() -> None:
    found = Rows(2)
    for number in range(10_000):
        found.add((number, 1))

    assert len(found) == len(list(found)) == 10_000
