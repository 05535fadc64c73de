"""The cost of a hop from pairs of streams, one on each path. Pure: it takes differences and gives an interval.

Both streams of a pair run right after one another, so a slow change of the server cancels out. The order inside of a
pair is random and balanced, so neither path is always the second. The cost is Hodges and Lehmann's estimate (1963) with
the interval of Wilcoxon's signed-rank test: it needs no normal distribution, and outliers do not move it.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple

from streamgauge.metrics.intervals import student

LEAST_PAIRS: Final = 12
"""Fewer pairs give no interval."""

CAUTIOUS: Final = 0.96
"""Pairs on a level that wanders still depend on each other a little: with 0.95 an interval of 200 pairs held the true
cost in 948 of 1,000 simulated measurements."""


class Cost(NamedTuple):
    """A cost in ns and its 95 % interval; without bounds from too few pairs."""

    point: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def schedule(rng: random.Random) -> Iterator[bool]:
    """For each pair, whether the direct path comes first: of two successive pairs one, in random order."""
    for _ in count():
        first = rng.random() < 0.5
        yield from (first, not first)


def cost_of(differences: Sequence[int]) -> Cost:
    """The typical difference of pairs (ns), and its interval. Raises ValueError without a pair."""
    if not differences:
        raise ValueError("no pair")
    ordered = sorted(differences)
    pairs = len(ordered)
    averages = pairs * (pairs + 1) // 2
    point = (_walsh(ordered, (averages + 1) // 2) + _walsh(ordered, averages // 2 + 1)) / 2
    if pairs < LEAST_PAIRS:
        return Cost(point, -math.inf, math.inf)
    # Student's quantile and not the normal one: the measurement ends when the interval is narrow, which favours pairs
    # that happen to agree.
    spread = student(CAUTIOUS, pairs - 1) * math.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
    rank = max(math.floor(averages / 2 - spread), 1)
    return Cost(point, _walsh(ordered, rank), _walsh(ordered, averages + 1 - rank))


def _walsh(ordered: Sequence[int], rank: int) -> float:
    """The average of this rank among those of all pairs of values, each value with itself included.

    It counts averages below a bound in place of making them all: 1,000 values have half a million.
    """
    low, high = 2 * ordered[0], 2 * ordered[-1]
    while low < high:
        middle = (low + high) // 2
        if _sums_up_to(ordered, middle) >= rank:
            high = middle
        else:
            low = middle + 1
    return low / 2


def _sums_up_to(ordered: Sequence[int], bound: int) -> int:
    """How many sums of two values are at most `bound`: each value with itself and with those behind it."""
    found, last = 0, len(ordered) - 1
    for first, value in enumerate(ordered):
        while last >= first and value + ordered[last] > bound:
            last -= 1
        if last < first:
            break
        found += last - first + 1
    return found


def order_matters(differences: Sequence[int], direct_first: Sequence[bool]) -> bool:
    """Whether the second stream of a pair differs from the first for no other reason: the intervals of both orders of
    the pairs do not meet. The balance of the orders keeps this out of the cost.
    """
    parts = [[value for value, first in zip(differences, direct_first, strict=True) if first is wanted]
             for wanted in (True, False)]  # fmt: skip
    if min(map(len, parts)) < LEAST_PAIRS:
        return False
    one, other = map(cost_of, parts)
    return one.high < other.low or other.high < one.low
