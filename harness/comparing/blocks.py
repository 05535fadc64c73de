"""The values of runs in blocks of time. Streams that run at the same time share its trouble, so blocks are resampled.

A run is cut into slices of equal time by the start of its streams. Neighbouring slices make a block. Streams of one
block may depend on each other in any way; blocks are taken as independent. `fitted` chooses their length.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice
from operator import mul
from typing import Final, NamedTuple, Self

from streamgauge.metrics.survival import Waits, masses

SLICES: Final = 48
LENGTHS: Final = (1, 2, 4, 6)
"""Slices in a block, the shortest block first."""

LONG: Final = LENGTHS[-2:]
"""The shortest blocks for rates. Users who begin together end together: shorter blocks are full or empty in turn."""

_NEAR: Final = 8  # standard errors around a quantile in which its resamples are looked for
_GRID: Final = 256  # values among which they are looked for
_ROUNDING: Final = 1e-6  # of a mass: 0.999 * 1000 is a little more than 999 in binary
_QUIET: Final = 0.25  # standard errors: a smaller correlation of neighbouring blocks counts as none
_BIAS: Final = 4.0  # so many n-ths of a correlation are missing in the correlation of n values
_LEAST_LEFT: Final = 0.2
_MOST_CORRELATION: Final = 0.7  # beyond it the correction would be a guess


class Sliced(NamedTuple):
    """The values of one metric in one run: each value with its slice and its mass, sorted by value.

    A value has a mass of 1 for each time that it was measured. Values of streams that were cut before they had one are
    beyond all others: their masses, by slice, are `beyond`.
    """

    values: Sequence[float]
    slices: Sequence[int]
    masses: Sequence[float]
    beyond: Sequence[float] = (0.0,) * SLICES


Placed = tuple[float, int]
"""A value and its slice."""


def sliced_waits(ended: Iterable[Placed], cut: Iterable[Placed] = ()) -> Sliced:
    """Waits with their slices, each once or counted. A wait that was cut goes on like those that lasted longer."""
    counts = Counter(ended)
    ordered = sorted(counts)
    left = sorted(Counter(cut).elements())
    every = [value for value, at in ordered for _ in range(counts[value, at])] if left else []
    each = masses(Waits(every, [value for value, _ in left])) if left else []
    at, mass = 0, []
    for placed in ordered:
        # Equal values have the same mass: a wait that was cut at that value counts as longer.
        mass.append(counts[placed] * (each[at] if left else 1.0))
        at += counts[placed]
    rest = max(at + len(left) - math.fsum(mass), 0.0)
    beyond = [0.0] * SLICES
    for _, slice_ in left:
        beyond[slice_] += rest / len(left)
    return Sliced([value for value, _ in ordered], [slice_ for _, slice_ in ordered], mass, beyond)


class Blocks(NamedTuple):
    """The values of one run or of several in order, each with its block and its mass, and the total mass of each block.

    `of_runs` says how many of the blocks are of each run.
    """

    values: Sequence[float]
    places: Sequence[int]
    masses: Sequence[float]
    totals: list[float]
    of_runs: list[int]

    @classmethod
    def of(cls, runs: Sequence[Sliced], length: int) -> Self:
        """Blocks of `length` slices; those without a stream are left out."""
        a_run = -(-SLICES // length)
        totals = [0.0] * (a_run * len(runs))
        rows = []
        for number, run in enumerate(runs):
            first = number * a_run
            for at, mass in enumerate(run.beyond):
                totals[first + at // length] += mass
            for value, at, mass in zip(run.values, run.slices, run.masses, strict=True):
                totals[first + at // length] += mass
                rows.append((value, first + at // length, mass))
        if len(runs) > 1:
            rows.sort()
        new_places = list(accumulate((total > 0 for total in totals), initial=0))
        of_runs = [new_places[(number + 1) * a_run] - new_places[number * a_run] for number in range(len(runs))]
        return cls(
            [row[0] for row in rows], [new_places[row[1]] for row in rows], [row[2] for row in rows],
            [total for total in totals if total > 0], of_runs,
        )  # fmt: skip

    @property
    def even(self) -> list[float]:
        """The weights that take every block once."""
        return [1.0] * len(self.totals)


class Quantile:
    """A quantile of weighted blocks, fast for many sets of weights: it looks only near the quantile of all."""

    def __init__(self, blocks: Blocks, q: float) -> None:
        self._totals, self._q = blocks.totals, q
        running = list(accumulate(blocks.masses))
        total = math.fsum(blocks.totals)
        at = bisect_left(running, q * total - _ROUNDING)
        self.point = blocks.values[at] if at < len(running) else math.inf
        after = bisect_right(blocks.values, self.point)
        self.excess = [below - q * whole for below, whole in zip(_masses_of(blocks, after), blocks.totals, strict=True)]
        spread = _NEAR * math.sqrt(math.fsum(map(mul, self.excess, self.excess))) + 3
        self._values, self._columns = _columns(
            blocks, bisect_left(running, q * total - spread), bisect_left(running, q * total + spread)
        )
        self._is_open = not running or running[-1] < q * total + spread

    def of(self, weights: Sequence[float]) -> float:
        """The quantile with these weights of the blocks; infinite where waits that were cut leave it open."""
        wanted = self._q * sum(map(mul, weights, self._totals)) - _ROUNDING
        low, high = 0, len(self._columns)
        while low < high:
            middle = (low + high) // 2
            if sum(map(mul, weights, self._columns[middle])) >= wanted:
                high = middle
            else:
                low = middle + 1
        if low == len(self._columns):
            return math.inf if self._is_open else self._values[-1]
        return self._values[low]


def _masses_of(blocks: Blocks, count: int) -> list[float]:
    """The mass of each block among the first `count` values."""
    found = [0.0] * len(blocks.totals)
    for place, mass in zip(islice(blocks.places, count), islice(blocks.masses, count), strict=True):
        found[place] += mass
    return found


def _columns(blocks: Blocks, begin: int, end: int) -> tuple[list[float], list[list[float]]]:
    """Some of the values between two indices, and the mass of each block up to each of them."""
    end = min(end + 1, len(blocks.values))
    step = max((end - begin) // _GRID, 1)
    running = _masses_of(blocks, begin)
    values: list[float] = []
    columns: list[list[float]] = []
    for at in range(begin, end):
        running[blocks.places[at]] += blocks.masses[at]
        if (end - 1 - at) % step == 0:
            values.append(blocks.values[at])
            columns.append(running.copy())
    return values, columns


class Mean:
    """The mean of weighted blocks; infinite where waits that were cut leave it open."""

    def __init__(self, blocks: Blocks) -> None:
        self._totals = blocks.totals
        self._is_open = math.fsum(blocks.totals) > math.fsum(blocks.masses) + _ROUNDING
        self._sums = [0.0] * len(blocks.totals)
        for value, place, mass in zip(blocks.values, blocks.places, blocks.masses, strict=True):
            self._sums[place] += value * mass
        self.point = self.of(blocks.even)
        self.excess = [part - self.point * whole for part, whole in zip(self._sums, self._totals, strict=True)]

    def of(self, weights: Sequence[float]) -> float:
        """The mean with these weights of the blocks."""
        total = sum(map(mul, weights, self._totals))
        return math.inf if self._is_open or not total else sum(map(mul, weights, self._sums)) / total


Statistic = Quantile | Mean


def statistic_of(blocks: Blocks, name: str) -> Statistic:
    """`mean`, or a percentile such as `p99.9`."""
    return Mean(blocks) if name == "mean" else Quantile(blocks, float(name[1:]) / 100)


class Fit(NamedTuple):
    """The statistic over blocks of a fitting length. `stretch` widens its error for what dependence is left.

    `restless`: even the longest blocks depend on their neighbours, so the run is too short for its own slow changes.
    """

    blocks: Blocks
    statistic: Statistic
    stretch: float
    restless: bool


def fitted(runs: Sequence[Sliced], name: str, lengths: Sequence[int] = LENGTHS) -> Fit:
    """The shortest blocks that show no correlation with their neighbours.

    Neighbours depend when the correlation of what they contribute to the statistic is above a quarter of a standard
    error: one standard error finds half of a moderate dependence only, and too short blocks make false alarms. What is
    left after the longest blocks, and half a standard error more, widens the error as in a first-order autoregression
    (Law, Simulation Modeling and Analysis, section 9.5). In few blocks a correlation seems smaller than it is: that is
    corrected, too (Kendall, "Note on bias in the estimation of autocorrelation", Biometrika, 1954).
    """
    for length in lengths:
        blocks = Blocks.of(runs, length)
        found = statistic_of(blocks, name)
        correlation = _correlation(found.excess, blocks.of_runs)
        deviation = 1 / math.sqrt(max(len(blocks.totals), 1))
        if correlation <= deviation * _QUIET:
            break
    left = correlation
    if correlation > deviation * _QUIET:
        blocks_of_run = len(blocks.totals) / max(len(blocks.of_runs), 1)
        left = (correlation + deviation / 2) / max(1 - _BIAS / blocks_of_run, _LEAST_LEFT)
    left = min(max(left, 0.0), _MOST_CORRELATION)
    return Fit(blocks, found, math.sqrt((1 + left) / (1 - left)), correlation > 2 * deviation)


def _correlation(excess: Sequence[float], of_runs: Sequence[int]) -> float:
    """The correlation of successive blocks of a run, around the level of that run; without dependence it is about 0."""
    begin, together, total = 0, 0.0, 0.0
    for count in of_runs:
        part = excess[begin : begin + count]
        level = sum(part) / max(count, 1)
        centred = [value - level for value in part]
        together += math.fsum(map(mul, centred, centred[1:]))
        total += math.fsum(map(mul, centred, centred))
        begin += count
    return together / total + len(of_runs) / max(len(excess), 1) if total else 0.0
