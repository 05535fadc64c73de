"""How many independent streams a series of dependent ones is worth.

The waits of two streams that queue behind the same others are nearly the same, so 100 of them say less than 100
independent ones. The variance of a mean of dependent values is that of n / tau independent ones, where tau = 1 + twice
the sum of the autocorrelations. The sum ends where the autocorrelations of two neighbouring lags together are no longer
positive: beyond, they are noise (Geyer, Practical Markov Chain Monte Carlo, 1992, initial positive sequence).
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from math import sqrt
from operator import mul
from typing import Final, NamedTuple

_LEAST: Final = 20
"""With fewer values, autocorrelations are noise."""
_CHANCE: Final = 9.0
"""Of 20 simulated series of independent values, one has a tau above 1 + 9 / sqrt(n)."""
_TAIL: Final = 0.9
"""Of the few values beyond a higher quantile, the dependence cannot be measured: it is at least that of this one."""
MOST_VALUES: Final = 5_000
"""So many successive streams of a longer run show how they depend on each other."""
_STEPS: Final = 20
"""A movement of less than 5 % of a limit does not decide whether values keep it."""
_KINDS: Final = {
    **dict.fromkeys(
        ("ttft", "ttfb", "headers", "ttfe", "ttfat", "adj_ttft", "ttft_any_chunk", "ttft_intended"), "ttft"
    ),
    **dict.fromkeys(("ttst", "tpot", "adj_tpot", "itl_request_mean"), "rest"),
    **dict.fromkeys(("e2e", "adj_e2e", "e2e_intended", "tpot_incl_first"), "whole"),
    "error_rate": "failed",
    "goodput": "bad",
}
_MOST_LAGS: Final = 500
"""The cost grows with the lags; a series that still depends on itself after 500 streams has no steady state anyway."""


def dependence(values: Sequence[float]) -> float:
    """tau: so many values of a series, in the order in which they came, are worth one independent value; at least 1.

    Ranks are correlated in place of values, so that a few very long waits do not hide how the others depend.
    """
    n = len(values)
    if n < _LEAST:
        return 1.0
    deviations = _ranks(values)
    variance = sum(map(mul, deviations, deviations))
    if variance <= 0:
        return 1.0
    tau = 1.0
    for lag in range(1, min(n // 3, _MOST_LAGS), 2):
        pair = (_products(deviations, lag) + _products(deviations, lag + 1)) / variance
        if pair <= 0:
            break
        tau += 2 * pair
    return tau


def clear_dependence(values: Sequence[float]) -> float:
    """The same, but 1 where independent values would give as much by chance (about 1 of 20 series)."""
    found = dependence(values)
    return found if found > 1 + _CHANCE / sqrt(max(len(values), 1)) else 1.0


def dependence_at(values: Sequence[float], limit: float) -> float:
    """So many values are worth an independent one for the question which share of them is beyond `limit`.

    The values are those of successive streams. What counts is how being beyond the limit depends on the streams before.
    Where less than a tenth of the values is beyond, these are too few to show that: the dependence is at least that of
    the slowest tenth. Differences of less than 5 % of the limit do not count.
    """
    if len(values) < _LEAST:
        return 1.0
    step = limit / _STEPS or 1.0
    steps = [round(min(value, 2 * limit) / step) for value in values]
    slowest = sorted(steps)[min(int(_TAIL * len(steps)), len(steps) - 1)]
    found = clear_dependence([float(value >= limit) for value in values])
    return max(found, clear_dependence([float(value >= slowest) for value in steps])) if slowest < _STEPS else found


class Wait(NamedTuple):
    """What one stream shows of its dependence on others: times in ns, and shares as 0 or 1; None where it has none."""

    start_ns: int
    ttft: float | None = None
    rest: float | None = None  # from the first token to the end
    whole: float | None = None
    failed: float | None = None
    bad: float | None = None  # it misses an objective


class Dependence:
    """How the streams of a run depend on each other, from the newest 5,000 of them.

    One series stands for all metrics of its kind, such as the TTFT for all waits that end at the first token.
    """

    def __init__(self) -> None:
        self._newest: deque[Wait] = deque(maxlen=MOST_VALUES)
        self._known: dict[tuple[str, float | None], float] = {}

    def add(self, wait: Wait) -> None:
        """Take in a stream."""
        self._newest.append(wait)
        self._known.clear()

    def of(self, metric: str, q: float | None = None) -> float:
        """How many streams are worth one independent stream for quantile `q` of a metric, or for a share of streams."""
        kind = _KINDS.get(metric)
        if kind is None:
            return 1.0
        if (kind, q) not in self._known:
            series = [value for wait in sorted(self._newest, key=_start) if (value := getattr(wait, kind)) is not None]
            self._known[kind, q] = clear_dependence(series) if q is None else _at_quantile(series, q)
        return self._known[kind, q]


def _start(wait: Wait) -> int:
    return wait.start_ns


def _at_quantile(series: Sequence[float], q: float) -> float:
    """The dependence of being beyond quantile `q`."""
    if len(series) < _LEAST:
        return 1.0
    ordered = sorted(series)
    limits = {ordered[min(int(quantile * len(series)), len(series) - 1)] for quantile in {q, min(q, _TAIL)}}
    return max(clear_dependence([float(value >= limit) for value in series]) for limit in limits)


def _products(deviations: Sequence[float], lag: int) -> float:
    return float(sum(map(mul, deviations[lag:], deviations)))


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, less the mean rank; equal values have the mean of their ranks."""
    ordered = sorted(values)
    middle = (len(values) - 1) / 2
    rank = {value: (bisect_left(ordered, value) + bisect_right(ordered, value) - 1) / 2 - middle for value in values}
    return [rank[value] for value in values]
