"""Values of many streams in bounded memory: whole up to a number, counted by rounded value beyond it."""

from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from operator import add, rshift
from typing import Final

EXACT_VALUES: Final = 20_000
_BITS: Final = 11  # of the 52 behind the point of a double (IEEE 754) that a rounded value keeps
ROUNDING: Final = 2.0 ** -(_BITS + 1)
"""The most by which a counted value differs from the true one, relative: 0.025 %."""

_BATCH: Final = 4_096
_DROPPED: Final = 52 - _BITS
_HALF: Final = 1 << (_DROPPED - 1)


class Kept:
    """Values of one kind, sorted when they are asked for.

    Up to EXACT_VALUES each is kept, 8 bytes a value. A longer run rounds its values and counts equal ones, so that its
    memory does not grow with its length. The smallest value, the largest value and whole numbers up to 4,096 stay
    exact. With so many values, the rounding is far below the uncertainty of any percentile.
    """

    def __init__(self) -> None:
        self._values = array("d")
        self._sorted = 0  # how many of `_values` are in order already
        self._counts: Counter[int] = Counter()  # by the leading bits of the value
        self._counted = 0
        self._smallest = self._largest = 0.0  # of the counted values

    def add(self, value: float) -> None:
        """Take in one value."""
        self._values.append(value)
        if len(self._values) >= (_BATCH if self._counted else EXACT_VALUES):
            self._count()

    @property
    def rounding(self) -> float:
        """The most by which a value may differ from the true one, relative."""
        return ROUNDING if self._counted else 0.0

    def __len__(self) -> int:
        return self._counted + len(self._values)

    @property
    def ordered(self) -> Sequence[float]:
        """All values in order. Values that are kept stay in order: the next call only merges newer ones in."""
        if self._counted:
            self._count()
            return self._expanded()
        if self._sorted != len(self._values):
            self._values = array("d", sorted(self._values))
            self._sorted = len(self._values)
        return self._values

    def _count(self) -> None:
        """Round the values that wait, and count them."""
        if not self._values:
            return
        smallest, largest = min(self._values), max(self._values)
        self._smallest = min(smallest, self._smallest) if self._counted else smallest
        self._largest = max(largest, self._largest) if self._counted else largest
        self._counts.update(map(rshift, map(add, _bits(self._values), repeat(_HALF)), repeat(_DROPPED)))
        self._counted += len(self._values)
        self._values = array("d")

    def _expanded(self) -> Sequence[float]:
        kept = array("q", (bits << _DROPPED for bits in self._counts))
        values = array("d")
        for value, count in sorted(zip(memoryview(kept).cast("B").cast("d"), self._counts.values(), strict=True)):
            values.extend(repeat(value, count))
        # Rounding must not put a value outside of what was measured.
        values[0], values[-1] = self._smallest, self._largest
        return values


def _bits(values: "array[float]") -> "memoryview[int]":
    """Each double as the whole number with the same bits: much faster than arithmetic on each value."""
    return memoryview(values).cast("B").cast("q")
