"""The uncertainty of a statistic by resampling: blocks of time of one run or two, whole runs where there are three.

A bootstrap of few blocks is too sure of itself (Hesterberg 2015, "What Teachers Should Know About the Bootstrap",
section 4.3): it divides by the number of blocks where one less is right, and its quantiles are those of a normal
distribution where Student's are right. `Estimate.widening` corrects both.
"""

import math
import random
from collections.abc import Iterator, Sequence
from statistics import pstdev
from typing import Final, NamedTuple

from streamgauge.comparing.blocks import LENGTHS, Blocks, Fit, Sliced, fitted

RESAMPLES: Final = 2_000
RUNS_TO_RESAMPLE: Final = 3
_MOST_HALVINGS: Final = 100


class Estimate(NamedTuple):
    """A statistic of one side: its value, its values in resamples, and how many blocks or whole runs were resampled.

    `stretch` widens the error for blocks that depend on each other; `restless` says that the run is too short to know
    by how much. `noise` has the figures of both halves of the blocks, for many splits: the same target twice.
    """

    point: float
    resamples: Sequence[float]
    units: int
    stretch: float
    noise: Sequence[tuple[float, float]]
    restless: bool = False
    by_run: bool = False

    @property
    def widening(self) -> float:
        """What the spread of the resamples has to be multiplied by."""
        return self.stretch * math.sqrt(self.units / (self.units - 1)) if self.units > 1 else math.inf


def estimate(
    runs: Sequence[Sliced],
    name: str,
    rng: random.Random,
    resamples: int = RESAMPLES,
    lengths: Sequence[int] = LENGTHS,
) -> Estimate:
    """`mean` or a percentile of the runs of one side, with its resamples."""
    fit = fitted(runs, name, lengths)
    by_run = len(runs) >= RUNS_TO_RESAMPLE
    draw = _runs(fit.blocks, rng) if by_run else _blocks(fit.blocks, rng)
    found = [fit.statistic.of(next(draw)) for _ in range(resamples)]
    noise = list(_halvings(fit, rng, min(resamples // 2, _MOST_HALVINGS)))
    if by_run:
        return Estimate(fit.statistic.point, found, len(runs), 1.0, noise, by_run=True)
    return Estimate(fit.statistic.point, found, len(fit.blocks.totals), fit.stretch, noise, fit.restless)


def _blocks(blocks: Blocks, rng: random.Random) -> Iterator[list[float]]:
    """Weights of a resample: as many blocks of each run as it has, drawn with replacement."""
    ranges, begin = [], 0
    for count in blocks.of_runs:
        ranges.append((range(begin, begin + count), count))
        begin += count
    while True:
        weights = [0.0] * begin
        for places, count in ranges:
            for at in rng.choices(places, k=count):
                weights[at] += 1
        yield weights


def _runs(blocks: Blocks, rng: random.Random) -> Iterator[list[float]]:
    """Weights of a resample: as many runs as there are, drawn with replacement, each with all its blocks."""
    count = len(blocks.of_runs)
    while True:
        times = [0.0] * count
        for run in rng.choices(range(count), k=count):
            times[run] += 1
        yield [weight for weight, size in zip(times, blocks.of_runs, strict=True) for _ in range(size)]


def _halvings(fit: Fit, rng: random.Random, times: int) -> Iterator[tuple[float, float]]:
    """The statistic in both halves of the blocks, for many random splits."""
    count = len(fit.blocks.totals)
    order = list(range(count))
    for _ in range(times if count > 1 else 0):
        rng.shuffle(order)
        half = [0.0] * count
        for at in order[: count // 2]:
            half[at] = 1.0
        yield fit.statistic.of(half), fit.statistic.of([1 - weight for weight in half])


def freedom(one: Estimate, other: Estimate) -> float:
    """The degrees of freedom of a difference (Welch 1947, Satterthwaite 1946), from spreads on a common scale."""
    variances = [(_variance(side), max(side.units - 1, 1)) for side in (one, other)]
    total = sum(variance for variance, _ in variances)
    if not total or math.isinf(total):
        return float(min(units for _, units in variances))
    return total**2 / sum(variance**2 / units for variance, units in variances)


def _variance(side: Estimate) -> float:
    finite = [value for value in side.resamples if math.isfinite(value)]
    return (pstdev(finite) * side.widening) ** 2 if len(finite) > 1 else 0.0
