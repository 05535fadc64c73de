"""Differences of shares. Without a failure on either side every resample is the same, so Newcombe's interval helps.

Newcombe (1998, method 10) makes the interval of a difference from Wilson's intervals of both shares.
"""

import math

from streamgauge.comparing.difference import Difference, Span, round_up
from streamgauge.comparing.side import Counted, Side
from streamgauge.metrics.intervals import wilson

_LARGEST: int = 100_000_000


def newcombe(failed_a: int, of_a: int, failed_b: int, of_b: int) -> Span:
    """B's share less A's, with its 95 % interval."""
    a, b = failed_a / of_a, failed_b / of_b
    one, other = wilson(failed_a, of_a), wilson(failed_b, of_b)
    (low_a, high_a), (low_b, high_b) = ((end.low or 0.0, 1.0 if end.high is None else end.high) for end in (one, other))
    return Span(b - a, b - a - math.hypot(b - low_b, high_a - a), b - a + math.hypot(high_b - b, a - low_a))


def share_difference(found: Difference, metric: str, a: Side, b: Side) -> Difference:
    """A difference of shares with the wider of two intervals: the resampled one, and that of independent streams."""
    one, other = (_counted(metric, side) for side in (a, b))
    if not one.total or not other.total:
        return found
    independent = newcombe(*one, *other)
    low, high = min(found.absolute.low, independent.low), max(found.absolute.high, independent.high)
    return found._replace(absolute=Span(independent.point, low, high), relative=None, noise=None)


def _counted(metric: str, side: Side) -> Counted:
    found = [run.shares[metric] for run in side.runs]
    return Counted(sum(counted.having for counted in found), sum(counted.total for counted in found))


def streams_to_exclude(metric: str, a: Side, b: Side, points: float) -> int | None:
    """How many streams a side needs to exclude a change by this many points, if both sides have the same share: the
    present share of both together.
    """
    one, other = (_counted(metric, side) for side in (a, b))
    least, judged = min(one.total, other.total), one.total + other.total
    if not judged or points <= 0:
        return None
    count = 10
    while count < _LARGEST:
        each = round((one.having + other.having) / judged * count)
        if count > least and newcombe(each, count, each, count).high < points:
            return round_up(count)
        count = math.ceil(count * 1.1)
    return None
