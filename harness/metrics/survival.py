"""Percentiles and shares where some waits had not ended yet, without leaving these waits out.

A stream that still waits for its first token when the run ends has waited at least so long. Leaving it out would make
the figures better the more streams hang. Two classic estimators use such cut waits as lower bounds:

- Kaplan and Meier (1958) for percentiles and means. A cut wait counts as under way until it was cut. From then on it is
  expected to go on like the waits that lasted at least as long. Without cut waits the result is the nearest rank.
- Aalen and Johansen (1978) for a share: the same with two kinds of end, here good and bad.

Both assume that the cut comes at a moment that has nothing to do with the wait, as the end of a run does. Where the
waits that ended do not determine a figure, it is a lower bound that needs no assumption: the figure of all waits, each
cut wait taken as if it had ended when it was cut.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Final, NamedTuple

from streamgauge.metrics.intervals import CONFIDENCE, Interval, lower_rank, ranks, wilson

_DECIMALS: Final = 6  # 0.999 * 1000 is a little more than 999 in binary; without rounding it would become the next rank


class Waits(NamedTuple):
    """Durations: those that ended, and how long others had lasted when they were cut. Both are sorted."""

    ended: Sequence[float]
    cut: Sequence[float] = ()


class Estimate(NamedTuple):
    """A figure; with `at_least`, the true figure of these waits is this or larger."""

    value: float
    at_least: bool = False


class Share(NamedTuple):
    """A share that lies between `low` and `high`, which differ only where cut waits leave it open."""

    low: float
    high: float


class _Stretch(NamedTuple):
    """Ended waits between two cuts: indices `begin` to `end`, how many waits were under way before the first of them,
    and the share of all waits that lasted longer than those before it.
    """

    begin: int
    end: int
    under_way: int
    lasting: float


def _stretches(waits: Waits) -> Iterator[_Stretch]:
    """The whole of `waits`, cut by cut. The last stretch has no cut behind it, and `end` == the number of ended waits.

    A wait that was cut at the very value at which another ended counts as under way then.
    """
    ended = waits.ended
    under_way, lasting, begin = len(ended) + len(waits.cut), 1.0, 0
    for cut in waits.cut:
        end = bisect_right(ended, cut, begin)
        yield _Stretch(begin, end, under_way, lasting)
        if end > begin:
            lasting *= (under_way - (end - begin)) / under_way
        under_way, begin = under_way - (end - begin) - 1, end
    yield _Stretch(begin, len(ended), under_way, lasting)


def masses(waits: Waits) -> list[float]:
    """How many waits each ended wait stands for: itself, and its part of those that were cut before it.

    Their sum is below the number of all waits where the longest waits were cut.
    """
    total = len(waits.ended) + len(waits.cut)
    found: list[float] = []
    for stretch in _stretches(waits):
        if stretch.end > stretch.begin:
            found += [total * stretch.lasting / stretch.under_way] * (stretch.end - stretch.begin)
    return found


def quantile(waits: Waits, q: float) -> Estimate | None:
    """The quantile `q` (0 to 1); None without any wait. Without cut waits it is a value that was measured."""
    for stretch in _stretches(waits):
        if not stretch.lasting:
            break
        needed = stretch.under_way * (1 - (1 - q) / stretch.lasting)
        rank = max(math.ceil(round(needed, _DECIMALS)), 1)
        if rank <= stretch.end - stretch.begin:
            return Estimate(waits.ended[stretch.begin + rank - 1])
    total = len(waits.ended) + len(waits.cut)
    if not total:
        return None
    rank = max(math.ceil(round(q * total, _DECIMALS)), 1)
    return Estimate(_nth(waits, rank), at_least=True)


def interval(waits: Waits, q: float, dependence: float = 1.0, confidence: float = CONFIDENCE) -> Interval:
    """Where quantile `q` (0 to 1, exclusive) of all such waits lies. Without cut waits: see metrics/intervals.py.

    With cut waits, the lower end takes each of them as if it had ended when it was cut, which needs no assumption. The
    upper end counts only the waits that ended as observations; their ranks become shares, and Kaplan and Meier's
    estimate gives the value at the share.

    So many waits as `dependence` says are worth one independent wait (metrics/dependence.py). An independent value
    then stands for several waits, and the middle one of these is its place: half a rank below its own.
    """
    total = len(waits.ended) + len(waits.cut)
    if not total:
        return Interval(None, None)
    worth = max(int(len(waits.ended) / dependence), 1 if waits.ended else 0)
    low, high = ranks(worth, q, confidence) if worth else (None, None)
    if waits.cut:
        of_all = max(int(total / dependence), 1)
        rank = lower_rank(of_all, q, confidence)
        lower = None if rank is None else _nth(waits, math.ceil(round((rank - 0.5) / of_all * total, _DECIMALS)))
    else:
        lower = None if low is None else _value(quantile(waits, (low - 0.5) / worth))
    return Interval(lower, None if high is None else _value(quantile(waits, (high - 0.5) / worth)))


def _value(found: Estimate | None) -> float | None:
    return None if found is None or found.at_least else found.value


def mean(waits: Waits) -> Estimate | None:
    """The mean; None without any wait."""
    total = len(waits.ended) + len(waits.cut)
    if not total:
        return None
    if waits.cut and (not waits.ended or waits.cut[-1] >= waits.ended[-1]):
        return Estimate((math.fsum(waits.ended) + math.fsum(waits.cut)) / total, at_least=True)
    parts = (
        stretch.lasting / stretch.under_way * math.fsum(waits.ended[stretch.begin : stretch.end])
        for stretch in _stretches(waits)
        if stretch.end > stretch.begin
    )
    return Estimate(math.fsum(parts))


def longest(waits: Waits) -> Estimate | None:
    """The longest wait; None without any. A lower bound when the longest one was cut."""
    if not waits.cut or (waits.ended and waits.ended[-1] >= waits.cut[-1]):
        return Estimate(waits.ended[-1]) if waits.ended else None
    return Estimate(waits.cut[-1], at_least=True)


def statistic(waits: Waits, name: str) -> Estimate | None:
    """`mean`, `max` or a percentile such as `p99.9`; None without any wait."""
    if name == "mean":
        return mean(waits)
    return longest(waits) if name == "max" else quantile(waits, float(name[1:]) / 100)


def share_of_good(good: Sequence[float], bad: Sequence[float], cut: Sequence[float]) -> Share | None:
    """The share of waits that end well. Each value says when its wait ended well, ended badly, or was cut before; all
    are sorted. None without any wait. The interval is the share of the waits that are still open after the last end.
    """
    if not (good or bad or cut):
        return None
    if not cut:
        exact = len(good) / (len(good) + len(bad))
        return Share(exact, exact)
    waits = Waits(list(merge(good, bad)), cut)
    well = badly = 0.0
    counted = (0, 0)
    for number, stretch in enumerate(_stretches(waits)):
        until = waits.cut[number] if number < len(waits.cut) else math.inf
        here = (bisect_right(good, until), bisect_right(bad, until))
        if stretch.end > stretch.begin:
            well += stretch.lasting / stretch.under_way * (here[0] - counted[0])
            badly += stretch.lasting / stretch.under_way * (here[1] - counted[1])
        counted = here
    return Share(min(well, 1.0), max(1.0 - badly, min(well, 1.0)))


def interval_of_share(
    share: Share, decided: int, cut: int, dependence: float = 1.0, confidence: float = CONFIDENCE
) -> Interval:
    """Where the true share lies that was estimated as `share` from so many decided waits and so many cut ones.

    Cut waits are observations only where each end of `share` decides them all, one way.
    """
    total = int((decided + (cut if share.high > share.low else 0)) / dependence)
    low = wilson(math.floor(round(share.low * total, _DECIMALS)), total, confidence)
    high = wilson(math.ceil(round(share.high * total, _DECIMALS)), total, confidence)
    return Interval(low.low, high.high)


def _nth(waits: Waits, rank: int) -> float:
    """The value of this rank among all waits, the cut ones taken as ended."""
    for number, value in enumerate(merge(waits.ended, waits.cut), 1):
        if number == rank:
            return value
    raise AssertionError("a rank is at most the number of waits")
