"""Verdicts on differences: found, below the client's error, or none visible; and on the changes that fail a comparison.

A regression needs both: the change is above its limit, and so is its whole interval, widened by the client's error. No
regression needs the opposite: the whole interval is below the limit. Anything else is no verdict.
"""

import math
from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.comparing.change import Change, Kind
from streamgauge.comparing.difference import Difference
from streamgauge.units import show_ms

LEAST_UNITS: Final = 8
"""Blocks, or 3 whole runs, below which a resampling says nothing."""
LEAST_TAIL: Final = 5
"""Values that a side needs beyond a percentile."""


class Finding(StrEnum):
    """What a row shows."""

    WORSE = "worse"
    BETTER = "better"
    NONE_VISIBLE = "none visible"
    BELOW_FLOOR = "below the client's error"
    NOT_JUDGED = "not judged"


class RuleVerdict(StrEnum):
    """Whether a change that fails a comparison was shown, excluded, or neither."""

    REGRESSION = "regression"
    NONE = "no regression"
    UNDECIDED = "no verdict"


class Floor(NamedTuple):
    """The error of the client in the unit of the values, and where it is known from."""

    value: float = 0.0
    source: str = ""


def find(found: Difference, floor: Floor, *, higher_is_better: bool) -> Finding:
    """What a difference shows. It is one only outside of its interval, of the noise and of the client's error."""
    span = found.relative or found.absolute
    if found.restless or not math.isfinite(found.absolute.point):
        return Finding.NOT_JUDGED
    if not span.excludes(0) or (found.noise is not None and found.relative and abs(span.point) <= found.noise):
        return Finding.NONE_VISIBLE
    if abs(found.absolute.point) <= floor.value:
        return Finding.BELOW_FLOOR
    return Finding.BETTER if (found.absolute.point > 0) == higher_is_better else Finding.WORSE


def judge(change: Change, found: Difference, floor: Floor, a: float) -> tuple[RuleVerdict, str | None]:
    """The verdict on a change, and the reason where there is none. `a` is the figure of the first side."""
    relative = change.kind is Kind.RELATIVE
    span = found.relative if relative else found.absolute
    if span is None or not math.isfinite(span.point):
        return RuleVerdict.UNDECIDED, "the first side's figure is 0: give an absolute limit, such as +2ms"
    error = floor.value / a if relative and a else 0.0 if relative else floor.value
    sign = change.sign
    worst, best = sorted((sign * span.low, sign * span.high), reverse=True)
    if best - error > change.limit and sign * span.point > change.limit:
        if found.noise is not None and relative and abs(span.point) <= found.noise:
            return RuleVerdict.UNDECIDED, f"the same target twice differs by up to {found.noise:.1%}"
        return RuleVerdict.REGRESSION, None
    if worst + error < change.limit:
        return RuleVerdict.NONE, None
    if worst < change.limit or best > change.limit:
        return RuleVerdict.UNDECIDED, f"this client's own error can be {show_ms(floor.value)}, which decides"
    return RuleVerdict.UNDECIDED, "the interval has room on both sides of the limit"


def too_few(statistic: str | None, streams: int) -> str | None:
    """Why a sample is too small for a statistic; None when it is not."""
    if statistic is None or statistic == "mean":
        least = 4 * LEAST_TAIL
    else:
        q = float(statistic[1:]) / 100
        least = math.ceil(round(LEAST_TAIL / min(q, 1 - q), 6))
    least = max(least, 4 * LEAST_TAIL)
    return None if streams >= least else f"needs {least:,} streams a side"
