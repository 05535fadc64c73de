"""A mergeable log-bucketed histogram with a known relative error, for pools too large to keep (DDSketch's mapping)."""

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Final, Self

import msgspec

from streamgauge.protocol.numbers import Count

RELATIVE_ERROR: Final = 0.005
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG: Final = 1 / math.log(_GAMMA)
_BATCH: Final = 4096
_LAST_BUCKET: Final = 5_000  # its values are above 2^61
_SLACK: Final = 1e-9  # relative; the error of a power and of a logarithm is far below


def _bucket(value: int) -> int:
    return math.ceil(math.log(value) * _PER_LOG)


@lru_cache(4096)
def _largest_in(bucket: int) -> int:
    """The largest integer in this bucket, exactly as `_bucket` has it."""
    edge = _GAMMA**bucket
    low, high = max(int(edge * (1 - _SLACK)), 1), int(edge * (1 + _SLACK)) + 1
    while low < high:
        middle = (low + high + 1) // 2
        if _bucket(middle) <= bucket:
            low = middle
        else:
            high = middle - 1
    return low


class Counts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A histogram as it is written to a file: counts by bucket index, and the exact zeros, total and maximum."""

    buckets: dict[Annotated[int, msgspec.Meta(ge=0, le=_LAST_BUCKET)], Count]
    zeros: Count = 0
    total: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    maximum: Annotated[int, msgspec.Meta(ge=0, le=2**61)] | None = None


class Histogram:
    """Counts of non-negative integers; a quantile is within RELATIVE_ERROR of the exact one. Zeros are exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._positive = 0
        self._zeros = 0
        self._total = 0
        self._maximum: int | None = None
        # Counted in batches: see `_settle`.
        self._waiting: list[int] = []

    @classmethod
    def of(cls, counts: Counts) -> "Histogram":
        """The histogram that `counts` was written from."""
        histogram = cls()
        histogram._buckets.update(counts.buckets)
        histogram._positive = sum(counts.buckets.values())
        histogram._zeros, histogram._total, histogram._maximum = counts.zeros, counts.total, counts.maximum
        return histogram

    def counts(self) -> Counts:
        """The counts, to be written to a file."""
        self._settle()
        return Counts(dict(self._buckets), self._zeros, self._total, self._maximum)

    def add(self, values: Iterable[int]) -> None:
        """Count each value. A negative value (a stamp before its predecessor) counts as zero."""
        self._waiting += values
        if len(self._waiting) >= _BATCH:
            self._settle()

    def add_zeros(self, count: int) -> None:
        """Count `count` zeros."""
        if count:
            self._zeros += count
            self._maximum = self._maximum or 0

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's counts to this one."""
        self._settle()
        other._settle()
        self._buckets.update(other._buckets)
        self._positive += other._positive
        self._zeros += other._zeros
        self._total += other._total
        if other._maximum is not None:
            self._maximum = max(self._maximum or 0, other._maximum)

    def _settle(self) -> None:
        values = self._waiting
        if not values:
            return
        # Sorting and then stepping from bucket to bucket takes two thirds of the time of a logarithm for each value.
        values.sort()
        at = bisect_right(values, 0)
        self._zeros += at
        self._positive += len(values) - at
        self._total += sum(values[at:])
        self._maximum = max(self._maximum or 0, values[-1])
        while at < len(values):
            bucket = _bucket(values[at])
            end = bisect_right(values, _largest_in(bucket), at)
            self._buckets[bucket] += end - at
            at = end
        values.clear()

    @property
    def count(self) -> int:
        return self._positive + self._zeros + len(self._waiting)

    @property
    def zeros(self) -> int:
        self._settle()
        return self._zeros

    @property
    def total(self) -> int:
        """The exact sum."""
        self._settle()
        return self._total

    @property
    def maximum(self) -> int | None:
        """The exact maximum, or None without data."""
        self._settle()
        return self._maximum

    def quantile(self, q: float) -> float | None:
        """The value at quantile `q` (nearest rank), or None without data."""
        self._settle()
        if not self.count:
            return None
        rank = max(math.ceil(q * self.count), 1)
        if rank <= self._zeros:
            return 0.0
        below = self._zeros
        for bucket in sorted(self._buckets):
            below += self._buckets[bucket]
            if below >= rank:
                return min(2 * _GAMMA**bucket / (_GAMMA + 1), float(self._maximum or 0))
        return float(self._maximum or 0)

    def rows(self) -> list[tuple[float, float, int]]:
        """(lower, upper, count) of each bucket in order, zeros first as (0, 0, n)."""
        self._settle()
        rows: list[tuple[float, float, int]] = [(0.0, 0.0, self._zeros)] if self._zeros else []
        return rows + [(_GAMMA ** (b - 1), _GAMMA**b, self._buckets[b]) for b in sorted(self._buckets)]


class Packed:
    """A histogram to keep and not to add to: a tenth of the memory."""

    def __init__(self, zeros: int, buckets: Mapping[int, int]) -> None:
        self._zeros = zeros
        self._buckets = array("h", sorted(buckets))
        self._counts = array("q", (buckets[bucket] for bucket in self._buckets))
        self.count = zeros + sum(self._counts)

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        """The same counts."""
        counts = histogram.counts()
        return cls(counts.zeros, counts.buckets)

    def merged(self, other: "Packed") -> "Packed":
        """Both together."""
        buckets = Counter(dict(zip(self._buckets, self._counts, strict=True)))
        buckets.update(dict(zip(other._buckets, other._counts, strict=True)))
        return Packed(self._zeros + other._zeros, buckets)

    def at_most(self, value: float) -> int:
        """How many values are at most `value`, or in its bucket."""
        if value < 1:
            return self._zeros
        return self._zeros + sum(self._counts[: bisect_right(self._buckets, _bucket(math.ceil(value)))])
