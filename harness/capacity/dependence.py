"""How many independent streams a series of dependent ones is worth.

The waits of two streams that queue behind the same others are nearly the same, so 100 of them say less than 100
independent ones. The variance of a mean of dependent values is that of n / tau independent ones, where tau = 1 + twice
the sum of the autocorrelations. The sum ends where the autocorrelations of two neighbouring lags together are no longer
positive: beyond, they are noise (Geyer, Practical Markov Chain Monte Carlo, 1992, initial positive sequence).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import mul
from typing import Final

_LEAST: Final = 20
"""With fewer values, autocorrelations are noise."""
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


def _products(deviations: Sequence[float], lag: int) -> float:
    return float(sum(map(mul, deviations[lag:], deviations)))


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, less the mean rank; equal values have the mean of their ranks."""
    ordered = sorted(values)
    middle = (len(values) - 1) / 2
    rank = {value: (bisect_left(ordered, value) + bisect_right(ordered, value) - 1) / 2 - middle for value in values}
    return [rank[value] for value in values]
