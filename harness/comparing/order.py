"""Whether the machine itself became slower or faster between the runs.

Runs in the order A, B, B, A show such a drift as a trend. In the order A, B a drift looks like a difference of A and B.
"""

import math
import random
from statistics import pstdev
from typing import Final, NamedTuple

from streamgauge.comparing.bootstrap import estimate
from streamgauge.comparing.side import Side

METRIC: Final = "ttft"
_STATISTIC: Final = "p50"
_RESAMPLES: Final = 200
_CERTAIN: Final = 2.58  # standard errors: 99 %
_LEAST: Final = 0.01  # a drift below 1 % decides nothing


class OrderEffect(NamedTuple):
    """`doubt` says that the machine drifted; `note` that the order of the runs could hide a drift."""

    doubt: str | None = None
    note: str | None = None


class _Run(NamedTuple):
    """The logarithm of a run's figure, its standard error, its side (0 or 1), and its place in the order of time."""

    level: float
    error: float
    side: int
    place: int


def order_effect(a: Side, b: Side, rng: random.Random) -> OrderEffect:
    """The drift over the runs of both sides in the order of time."""
    ordered = sorted(
        ((run, number) for number, side in enumerate((a, b)) for run in side.runs), key=lambda item: item[0].begin_ns
    )
    sides = [number for _, number in ordered]
    if sides in (sorted(sides), sorted(sides, reverse=True)):
        first, last = ("A", "B") if sides[0] == 0 else ("B", "A")
        return OrderEffect(
            note=f"All runs of {first} came before those of {last}: a drift of the machine would look the same as a "
            "difference. Run A, B, B, A to tell them apart (sides may be several directories: a1,a2 b1,b2)."
        )
    runs = []
    for place, (sample, number) in enumerate(ordered):
        found = estimate([sample.columns[METRIC]], _STATISTIC, rng, _RESAMPLES)
        logs = [math.log(value) for value in found.resamples if value > 0 and math.isfinite(value)]
        if found.point <= 0 or not math.isfinite(found.point) or len(logs) < _RESAMPLES // 2:
            return OrderEffect()
        runs.append(_Run(math.log(found.point), pstdev(logs) * found.widening, number, place))
    return OrderEffect(doubt=drift_of(runs))


def drift_of(runs: list[_Run]) -> str | None:
    """The drift in words; None when there is none that is certain.

    Weighted least squares: the level of a run is that of its side, and a slope over its place in the order.
    """
    least = max(min((run.error for run in runs if run.error > 0), default=1e-6), 1e-6)
    weights = [1 / max(run.error, least) ** 2 for run in runs]
    residual: list[tuple[float, float, float]] = []  # weight, place and level, each without the mean of its side
    for side in (0, 1):
        own = [(weight, run) for weight, run in zip(weights, runs, strict=True) if run.side == side]
        total = sum(weight for weight, _ in own)
        place = sum(weight * run.place for weight, run in own) / total
        level = sum(weight * run.level for weight, run in own) / total
        residual += [(weight, run.place - place, run.level - level) for weight, run in own]
    information = sum(weight * place * place for weight, place, _ in residual)
    if not information:
        return None
    slope = sum(weight * place * level for weight, place, level in residual) / information
    over_all = slope * (len(runs) - 1)
    if abs(slope) * math.sqrt(information) < _CERTAIN or abs(over_all) < _LEAST:
        return None
    return (
        f"the runs drifted by {math.expm1(over_all):+.1%} in {METRIC} {_STATISTIC} from the first to the last, "
        "whichever side they are of: the machine or the server changed meanwhile"
    )
