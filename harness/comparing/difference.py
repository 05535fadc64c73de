"""The difference of two sides in one statistic: its interval, the noise of one target twice, the sample it needs."""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from streamgauge.comparing.bootstrap import Estimate, freedom
from streamgauge.metrics.intervals import CONFIDENCE, normal, student
from streamgauge.units import two_digits_up

POWER: Final = 0.99
"""The share of comparisons that show a difference of the size for which `Difference.needed` gives the sample."""

_SURE: Final = 0.975
"""How sure the needed sample is: the error itself is known from few blocks, so its upper bound at this confidence is
used."""


class Span(NamedTuple):
    """A difference and its interval."""

    point: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether the interval has no place for this difference."""
        return not self.low <= value <= self.high


class Difference(NamedTuple):
    """B against A. `relative` is a share (0.05 is 5 % more); None where a side is 0. `absolute` is in the values' unit.

    `noise` is the largest relative difference that the same target twice makes in 95 of 100 comparisons, `error` the
    standard error of the relative difference. `restless`: a side changes slowly, and is too short to say by how much.
    """

    absolute: Span
    relative: Span | None
    noise: float | None
    error: float | None
    degrees: float
    restless: bool = False

    def needed(self, streams: int, change: float) -> int | None:
        """How many streams a side show a relative change of this size in 95 of 100 comparisons; None if unknown.

        `streams` is how many a side this comparison had.
        """
        if self.error is None or math.isinf(self.error):
            return None
        upper = self.error * _upper_factor(self.degrees)
        ratio = (student(CONFIDENCE, self.degrees) + normal(2 * POWER - 1)) * upper / math.log1p(change)
        return round_up(streams * ratio**2)


def difference(a: Estimate, b: Estimate, *, twice: Sequence[tuple[float, float]] = ()) -> Difference:
    """The difference of two estimates. `twice` are figures of the same target in two runs: they widen the noise."""
    relative = _span(a, b, _log_ratio)
    absolute = _span(a, b, lambda one, other: other - one)
    if absolute is None:
        absolute = Span(math.nan, -math.inf, math.inf)
    degrees, restless = freedom(a, b), a.restless or b.restless
    if relative is None:
        return Difference(absolute, None, None, None, degrees, restless)
    width = (relative.high - relative.low) / 2
    shares = Span(*(math.expm1(value) for value in relative))
    return Difference(absolute, shares, _noise(a, b, twice), width / student(CONFIDENCE, degrees), degrees, restless)


def _log_ratio(a: float, b: float) -> float | None:
    return math.log(b / a) if a > 0 and b > 0 and math.isfinite(a) and math.isfinite(b) else None


def _span(a: Estimate, b: Estimate, between: Callable[[float, float], float | None]) -> Span | None:
    """The interval of a difference: the quantiles of its resamples, widened around its value."""
    point = between(a.point, b.point) if math.isfinite(a.point) and math.isfinite(b.point) else None
    if point is None:
        return None
    found = [value for one, other in zip(a.resamples, b.resamples, strict=True)
             if (value := between(one, other)) is not None]  # fmt: skip
    if len(found) < 0.99 * len(a.resamples) or not all(map(math.isfinite, found)):
        return Span(point, -math.inf, math.inf)
    found.sort()
    low, high = (_quantile(found, q) for q in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    widening = math.hypot(*_parts(a, b)) * student(CONFIDENCE, freedom(a, b)) / normal(CONFIDENCE)
    return Span(point, point - widening * max(point - low, 0.0), point + widening * max(high - point, 0.0))


def _parts(a: Estimate, b: Estimate) -> tuple[float, float]:
    """The widening of both sides as one: their squares, weighted alike."""
    return a.widening / math.sqrt(2), b.widening / math.sqrt(2)


def _noise(a: Estimate, b: Estimate, twice: Sequence[tuple[float, float]]) -> float:
    """The noise floor. The halves of a side have half of its streams, so their difference is √2 times too large."""
    sides = []
    for side in (a, b):
        found = sorted(abs(value) for one, other in side.noise if (value := _log_ratio(one, other)) is not None)
        sides.append(_quantile(found, CONFIDENCE) / 2 * side.stretch if found else 0.0)
    runs = [abs(value) for one, other in twice if (value := _log_ratio(one, other)) is not None]
    return math.expm1(max([math.hypot(*sides), *runs]))


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def _upper_factor(degrees: float) -> float:
    """How much larger than its estimate a standard error may be (Wilson and Hilferty's chi-square)."""
    z, part = normal(2 * _SURE - 1), 2 / (9 * degrees)
    return (1 - part - z * math.sqrt(part)) ** -1.5 if 1 - part > z * math.sqrt(part) else math.inf


def round_up(value: float) -> int | None:
    """Two digits, rounded up; None for a number that no run could have."""
    if not math.isfinite(value) or value > 1e9:
        return None
    return two_digits_up(max(value, 1))
