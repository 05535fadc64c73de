"""A mergeable log-bucketed histogram with a stated relative error, for pools too large to keep (DDSketch's mapping)."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

RELATIVE_ERROR: Final = 0.005
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)


class Counts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A histogram as it travels: bucket index to count, and what is exact beside it."""

    buckets: dict[int, int]
    zeros: int = 0
    total: int = 0
    maximum: int | None = None


class Histogram:
    """Counts of non-negative integers; a quantile is within RELATIVE_ERROR of the exact one. Zeros are exact."""

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.zeros = 0
        self.count = 0
        self.total = 0
        self.maximum: int | None = None

    @classmethod
    def of(cls, counts: Counts) -> "Histogram":
        """The histogram that `counts` was taken from."""
        histogram = cls()
        histogram.buckets.update(counts.buckets)
        histogram.zeros, histogram.total, histogram.maximum = counts.zeros, counts.total, counts.maximum
        histogram.count = counts.zeros + sum(counts.buckets.values())
        return histogram

    def counts(self) -> Counts:
        """What to send or store."""
        return Counts(dict(self.buckets), self.zeros, self.total, self.maximum)

    def add(self, values: Iterable[int]) -> None:
        """Count each value; negative ones (a stamp before its predecessor) count as zero."""
        for value in values:
            self.count += 1
            if value > 0:
                self.buckets[math.ceil(math.log(value) / _LOG_GAMMA)] += 1
                self.total += value
            else:
                self.zeros += 1
            if self.maximum is None or value > self.maximum:
                self.maximum = max(value, 0)

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's counts to this one."""
        self.buckets += other.buckets
        self.zeros += other.zeros
        self.count += other.count
        self.total += other.total
        if other.maximum is not None:
            self.maximum = other.maximum if self.maximum is None else max(self.maximum, other.maximum)

    def quantile(self, q: float) -> float | None:
        """The value at quantile `q` (nearest rank), or None without data."""
        if not self.count:
            return None
        rank = max(math.ceil(q * self.count), 1)
        if rank <= self.zeros:
            return 0.0
        seen = self.zeros
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(2 * _GAMMA**bucket / (_GAMMA + 1), float(self.maximum or 0))
        return float(self.maximum or 0)

    def rows(self) -> list[tuple[float, float, int]]:
        """(lower, upper, count) of each bucket in order, zeros first as (0, 0, n)."""
        rows: list[tuple[float, float, int]] = [(0.0, 0.0, self.zeros)] if self.zeros else []
        return rows + [(_GAMMA ** (b - 1), _GAMMA**b, self.buckets[b]) for b in sorted(self.buckets)]
