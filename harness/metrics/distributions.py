"""Many durations as a few figures: exact percentiles, or percentiles of a histogram."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from streamgauge.metrics import survival
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.survival import Estimate, Waits
from streamgauge.units import ns_to_ms

FIGURES: Final = ("mean", "p50", "p90", "p95", "p99", "max")


class Distribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Milliseconds. Percentiles are nearest-rank: a value that was measured, never an average of two.

    `cut` waits had not ended when their streams were cut; they are not in `count`. See metrics/survival.py for how they
    enter. The figures named in `at_least` are lower bounds: the true figure is that or larger.
    """

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    count: int
    cut: int = 0
    at_least: list[str] = []

    def sign(self, figure: str) -> str:
        """What to write before this figure: nothing, or that it is a lower bound."""
        return "≥ " if figure in self.at_least else ""


def distribution(values_ns: Iterable[int | float]) -> Distribution | None:
    """Exact percentiles of durations in ns, as ms; None without data."""
    return of_waits(Waits(sorted(values_ns)))


def of_waits(waits: Waits) -> Distribution | None:
    """The distribution of waits in ns of which some had not ended; None without any."""
    found = {name: survival.statistic(waits, name) for name in FIGURES}
    figures = {name: estimate for name, estimate in found.items() if estimate is not None}
    if not figures:
        return None
    return Distribution(
        **{name: ns_to_ms(estimate.value) for name, estimate in figures.items()},
        count=len(waits.ended),
        cut=len(waits.cut),
        at_least=[name for name, estimate in figures.items() if estimate.at_least],
    )


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """The quantile `q` (0 to 1) of at least one value in order: a value that was measured, never an average of two."""
    # 0.999 * 1000 is a little more than 999 in binary; without rounding it would become the next rank.
    return ordered[max(math.ceil(round(q * len(ordered), 6)), 1) - 1]


def pooled(histogram: Histogram) -> Distribution | None:
    """A histogram's distribution, within its relative error; mean, max and count are exact. None without data."""
    if not histogram.count:
        return None
    p50, p90, p95, p99 = (ns_to_ms(histogram.quantile(q) or 0) for q in (0.5, 0.9, 0.95, 0.99))
    maximum = ns_to_ms(histogram.maximum or 0)
    return Distribution(ns_to_ms(histogram.total / histogram.count), p50, p90, p95, p99, maximum, histogram.count)


def statistic(values: Waits | Histogram, name: str) -> Estimate | None:
    """`mean`, `max` or a percentile such as `p99.9` of waits or of a histogram, in ns; None without data."""
    if isinstance(values, Waits):
        return survival.statistic(values, name)
    if not values.count:
        return None
    if name == "mean":
        return Estimate(values.total / values.count)
    found = values.maximum if name == "max" else values.quantile(float(name[1:]) / 100)
    return None if found is None else Estimate(found)
