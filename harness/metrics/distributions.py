"""Many durations as a few figures: exact percentiles, or percentiles of a histogram."""

import math
from collections.abc import Iterable, Sequence

import msgspec

from streamgauge.metrics.histogram import Histogram
from streamgauge.units import ns_to_ms


class Distribution(msgspec.Struct, frozen=True):
    """Milliseconds. Percentiles are nearest-rank: a value that was measured, never an average of two."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    count: int


def distribution(values_ns: Iterable[int | float]) -> Distribution | None:
    """Exact percentiles of durations in ns, as ms; None without data."""
    return of_sorted(sorted(values_ns))


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """The quantile `q` (0 to 1) of at least one value in order: a value that was measured, never an average of two."""
    # 0.999 * 1000 is a little more than 999 in binary; without rounding it would become the next rank.
    return ordered[max(math.ceil(round(q * len(ordered), 6)), 1) - 1]


def of_sorted(ordered: Sequence[int | float]) -> Distribution | None:
    """`distribution` of values that are sorted already."""
    if not ordered:
        return None

    def rank(q: float) -> float:
        return ns_to_ms(nearest_rank(ordered, q))

    return Distribution(
        ns_to_ms(sum(ordered) / len(ordered)),
        rank(0.5),
        rank(0.9),
        rank(0.95),
        rank(0.99),
        ns_to_ms(ordered[-1]),
        len(ordered),
    )


def pooled(histogram: Histogram) -> Distribution | None:
    """A histogram's distribution, within its relative error; mean, max and count are exact. None without data."""
    if not histogram.count:
        return None
    p50, p90, p95, p99 = (ns_to_ms(histogram.quantile(q) or 0) for q in (0.5, 0.9, 0.95, 0.99))
    maximum = ns_to_ms(histogram.maximum or 0)
    return Distribution(ns_to_ms(histogram.total / histogram.count), p50, p90, p95, p99, maximum, histogram.count)


def statistic(values: Sequence[float] | Histogram, name: str) -> float | None:
    """`mean`, `max` or a percentile such as `p99.9` of values in order or of a histogram, in ns; None without data."""
    if isinstance(values, Histogram):
        if not values.count:
            return None
        if name == "mean":
            return values.total / values.count
        return values.maximum if name == "max" else values.quantile(float(name[1:]) / 100)
    if not values:
        return None
    if name == "mean":
        return math.fsum(values) / len(values)
    return values[-1] if name == "max" else nearest_rank(values, float(name[1:]) / 100)
