"""Many durations as a few figures: exact percentiles, or percentiles of a histogram, each with its interval."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from streamgauge.metrics import survival
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.intervals import Interval
from streamgauge.metrics.pool import Pool
from streamgauge.metrics.survival import Estimate, Waits
from streamgauge.units import ns_to_ms

FIGURES: Final = ("mean", "p50", "p90", "p95", "p99", "max")
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Distribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Milliseconds. Percentiles are nearest-rank: a value that was measured, never an average of two.

    `cut` waits had not ended when their streams were cut; they are not in `count`. See metrics/survival.py for how they
    enter. The figures named in `at_least` are lower bounds: the true figure is that or larger.

    `intervals` has for a percentile the two values between which the true percentile of the endpoint lies with a
    confidence of 95 %; null stands for an end on which so few values set no bound. A percentile without an interval is
    that of a pool with fewer than 20 streams (metrics/pool.py). A mean and a maximum have none: no interval holds for
    them without knowing the distribution (Bahadur and Savage, 1956).
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
    intervals: dict[str, Interval] = {}

    def sign(self, figure: str) -> str:
        """What to write before this figure: nothing, or that it is a lower bound."""
        return "≥ " if figure in self.at_least else ""


class AdjustedDistribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Milliseconds, as in Distribution. `failed` streams count as infinitely slow: a figure that falls among them is
    null. `count` are the other values.
    """

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None
    count: int
    failed: int = 0
    cut: int = 0
    at_least: list[str] = []
    intervals: dict[str, Interval] = {}

    def sign(self, figure: str) -> str:
        """What to write before this figure: nothing, or that it is a lower bound."""
        return "≥ " if figure in self.at_least else ""


def show_interval(found: Interval | None) -> str:
    """An interval in ms with three digits, such as `398–431` or `≥ 398`; empty where nothing is known."""
    if found is None or found == (None, None):
        return ""
    largest = max(end for end in found if end is not None)
    decimals = 0 if largest >= 100 else 1 if largest >= 10 else 2
    low, high = (None if end is None else f"{end:,.{decimals}f}" for end in found)
    if low is not None and high is not None:
        return f"{low}–{high}"
    return f"≥ {low}" if high is None else f"≤ {high}"


def distribution(values_ns: Iterable[int | float]) -> Distribution | None:
    """Exact percentiles of durations in ns, as ms; None without data."""
    return of_waits(Waits(sorted(values_ns)))


def of_waits(waits: Waits, dependence: Callable[[float], float] | None = None) -> Distribution | None:
    """The distribution of waits in ns of which some had not ended; None without any.

    Without `dependence` (for a quantile, how many waits are worth an independent one) it has no intervals.
    """
    found = {name: survival.statistic(waits, name) for name in FIGURES}
    figures = {name: estimate for name, estimate in found.items() if estimate is not None}
    if not figures:
        return None
    return Distribution(
        **{name: ns_to_ms(estimate.value) for name, estimate in figures.items()},
        count=len(waits.ended),
        cut=len(waits.cut),
        at_least=[name for name, estimate in figures.items() if estimate.at_least],
        intervals={} if dependence is None else _intervals(lambda q: survival.interval(waits, q, dependence(q))),
    )


def adjusted(waits: Waits, dependence: Callable[[float], float] | None = None) -> AdjustedDistribution | None:
    """The distribution of waits of which some are infinite: those of failed streams. None without any."""
    found = of_waits(waits, dependence)
    if found is None:
        return None
    failed = len(waits.ended) - bisect_left(waits.ended, math.inf)
    figures = {name: value if math.isfinite(value := getattr(found, name)) else None for name in FIGURES}
    return AdjustedDistribution(
        **figures,
        count=found.count - failed,
        failed=failed,
        cut=found.cut,
        at_least=[name for name in found.at_least if figures[name] is not None],
        intervals={
            name: Interval(*(end if end is not None and math.isfinite(end) else None for end in interval))
            for name, interval in found.intervals.items()
            if interval.low is None or math.isfinite(interval.low)
        },
    )


def _intervals(of: Callable[[float], Interval | None]) -> dict[str, Interval]:
    """The interval of each percentile in ms, where there is one. `of` gives it in ns."""
    found = {name: of(q) for name, q in PERCENTILES.items()}
    return {name: in_ms(interval) for name, interval in found.items() if interval is not None}


def in_ms(interval: Interval) -> Interval:
    """An interval in ns, as ms."""
    return Interval(*(None if end is None else ns_to_ms(end) for end in interval))


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """The quantile `q` (0 to 1) of at least one value in order: a value that was measured, never an average of two."""
    # 0.999 * 1000 is a little more than 999 in binary; without rounding it would become the next rank.
    return ordered[max(math.ceil(round(q * len(ordered), 6)), 1) - 1]


def pooled(histogram: Histogram) -> Distribution | None:
    """A histogram's distribution, within its relative error; mean, max and count are exact. None without data."""
    if not histogram.count:
        return None
    p50, p90, p95, p99 = (ns_to_ms(histogram.quantile(q) or 0) for q in PERCENTILES.values())
    maximum = ns_to_ms(histogram.maximum or 0)
    return Distribution(ns_to_ms(histogram.total / histogram.count), p50, p90, p95, p99, maximum, histogram.count)


def of_pool(pool: Pool, *, intervals: bool = False) -> Distribution | None:
    """The distribution of a pool; None without data."""
    found = pooled(pool.whole)
    if found is None or not intervals:
        return found
    return msgspec.structs.replace(found, intervals=_intervals(pool.percentile))


def statistic(values: Waits | Histogram | Pool, name: str) -> Estimate | None:
    """`mean`, `max` or a percentile such as `p99.9`, in ns; None without data."""
    if isinstance(values, Waits):
        return survival.statistic(values, name)
    whole = values.whole if isinstance(values, Pool) else values
    if not whole.count:
        return None
    if name == "mean":
        return Estimate(whole.total / whole.count)
    found = whole.maximum if name == "max" else whole.quantile(quantile_of(name))
    return None if found is None else Estimate(found)


def quantile_of(name: str) -> float:
    """The quantile (0 to 1) of a percentile such as `p99.9`."""
    return float(name[1:]) / 100
