"""Whether a point had a steady state: the time to the first token and the streams in flight over its window.

Both are looked at in six batches. A series counts as a trend when nearly every batch is above all batches before it
(Kendall's S of at least 13 of 15 has a probability of 0.3 % without one) and the change is large.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

BATCHES: Final = 6
_LEAST_A_BATCH: Final = 8
_LEAST_S: Final = 13
_CHANGE: Final = 0.25  # of the middle of the series; less does not decide how a server copes with a load
_GROWTH: Final = 0.5  # the same for a backlog, which grows without a limit
_COLD: Final = 2.0  # first wave against the rest


def trend(values: Sequence[float]) -> float:
    """The change from the first batch to the last as a share of the middle; 0 without a trend or with too few values.

    `values` are in the order in which their streams began.
    """
    size = len(values) // BATCHES
    if size < _LEAST_A_BATCH:
        return 0.0
    return _trend([median(values[k * size : (k + 1) * size]) for k in range(BATCHES)])


def _trend(levels: Sequence[float]) -> float:
    score = sum((late > early) - (late < early) for early, late in combinations(levels, 2))
    middle = median(levels)
    if abs(score) < _LEAST_S or middle <= 0:
        return 0.0
    return (levels[-1] - levels[0]) / middle


def unsteady(waits: Sequence[float]) -> str | None:
    """Why waits (seconds) show no steady state; None when they do, or when there are too few."""
    change = trend(waits)
    if abs(change) <= _CHANGE:
        return None
    return f"the time to the first token {'rose' if change > 0 else 'fell'} by {abs(change):.0%} within the window"


def overrun(waits: Sequence[float], in_flight: Sequence[float]) -> str | None:
    """Why an open loop asks for more than the server does: waits and backlog grow together; None when they do not."""
    backlog = _trend(in_flight)
    change = trend(waits)
    if backlog < _GROWTH or change < _GROWTH:
        return None
    return (
        f"the backlog grows: streams in flight by {backlog:.0%} and the time to the first token by {change:.0%} within "
        "the window"
    )


def cold(first_wave: Sequence[float], rest: Sequence[float]) -> str | None:
    """Why the server seems to have been cold: its first wave of streams was much slower than the rest."""
    if len(first_wave) < 2 or len(rest) < 2 * len(first_wave):
        return None
    early, late = median(first_wave), median(rest)
    if early < _COLD * late or early - late < 0.02:
        return None
    return f"the first wave of {len(first_wave)} streams took {early / late:.1f} times as long to its first token"
