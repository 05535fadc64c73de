"""The unit of a trace's timestamps, from the definition of its format and from the values; never from a name alone.

Two readings of the same numbers differ by a factor of 1,000, so a wrong one turns an hour into four seconds. Published
traces use `timestamp` for seconds (Bailian, guidellm) and for milliseconds (Mooncake). So a reading needs evidence, and
evidence that contradicts itself is an error that shows both readings.
"""

from typing import Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.units import MS, SECOND

UNITS: Final = {"s": SECOND, "ms": MS, "us": 1_000, "ns": 1}
WORDS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

_SLOWEST_PER_S: Final = 1 / 60
_FASTEST_PER_S: Final = 100.0
"""Published traces have 0.3 to 30 arrivals/s on average. A reading outside of these bounds needs other evidence."""
_EPOCH_S: Final = (1_000_000_000, 4_100_000_000)
"""Dates from 2001 to 2099 in seconds since 1970: in any other unit the number has other digits."""
_YEAR_S: Final = 366 * 86_400


class Numbers(NamedTuple):
    """The timestamps of a file, in no unit yet."""

    arrivals: int
    lowest: int | float
    highest: int | float
    fractions: bool

    def per_s(self, unit: str) -> float | None:
        """Mean arrivals per second under this reading; None when all came at once."""
        span_s = self.span_s(unit)
        return (self.arrivals - 1) / span_s if span_s > 0 else None

    def span_s(self, unit: str) -> float:
        return float(self.highest - self.lowest) * UNITS[unit] / SECOND


class Evidence(NamedTuple):
    """The unit that a format's definition gives. `firm`: the format is known by columns that no other format has."""

    unit: str | None
    firm: bool = False


def unit_of(numbers: Numbers, evidence: Evidence, name: str) -> str:
    """The unit of these timestamps. Raises UsageError when the evidence does not decide."""
    since_1970 = _since_1970(numbers)
    if since_1970 is not None:
        if evidence.unit not in (None, since_1970) and evidence.firm:
            raise _undecided(numbers, [str(evidence.unit), since_1970], name)
        return since_1970
    if numbers.highest == numbers.lowest:
        return evidence.unit or "s"  # one moment is the same in every unit
    usual = [unit for unit in UNITS if _SLOWEST_PER_S <= (numbers.per_s(unit) or 0) <= _FASTEST_PER_S]
    unit = evidence.unit
    if unit is not None and (evidence.firm or not usual or unit in usual) and numbers.span_s(unit) <= _YEAR_S:
        return unit
    if unit is None and len(usual) == 1:
        return usual[0]
    raise _undecided(numbers, sorted({*usual, unit or "s", "ms"}, key=list(UNITS).index), name)


def _since_1970(numbers: Numbers) -> str | None:
    low, high = _EPOCH_S
    return next(
        (
            unit
            for unit, unit_ns in UNITS.items()
            if low <= numbers.lowest * unit_ns / SECOND and numbers.highest * unit_ns / SECOND <= high
        ),
        None,
    )


def _undecided(numbers: Numbers, units: list[str], name: str) -> UsageError:
    readings = ", or ".join(_reading(numbers, unit) for unit in units[:3])
    return UsageError(
        f"{name}: the unit of the timestamps {numbers.lowest} to {numbers.highest} cannot be told: {readings}",
        f"say which it is: {' or '.join(f'--time-unit {unit}' for unit in units[:3])}",
    )


def _reading(numbers: Numbers, unit: str) -> str:
    rate = numbers.per_s(unit)
    mean = "all at once" if rate is None else f"mean {show_rate(rate)}"
    return f"{numbers.arrivals:,} arrivals over {show_span(numbers.span_s(unit))} ({mean}) as {WORDS[unit]}"


def show_span(seconds: float) -> str:
    """`0.28 s`, `42 s`, `59 min`, `7.5 h`, `121 days`."""
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.2g} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"


def show_rate(per_s: float) -> str:
    """`0.9/s`, `12/s`, `0.5/min`."""
    if per_s < 0.05:
        return f"{per_s * 60:.2g}/min" if per_s * 60 >= 0.05 else f"{per_s * 3600:.2g}/h"
    return f"{per_s:.2g}/s" if per_s < 10 else f"{per_s:,.0f}/s"
