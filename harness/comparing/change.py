"""A change that fails a comparison, as text: the grammar of `compare --fail-on`.

change     = latency [ statistic ] ">" "+" ( percent | duration )      ttft p95 > +10%    ttft p50 > +20ms
           | rate "<" "-" percent                                      output_tokens_per_s < -5%
           | "error_rate" ">" "+" points                               error_rate > +1pp
           | "goodput" "<" "-" points                                  goodput < -1pp
           | "checks"                                                  a conformance check that passed fails now
statistic  = "mean" | "p" number                                       p50, p99.9; p95 where none is given
percent    = a number and "%"                                          of the figure of the first side
duration   = a number and a unit                                       20ms, 1.5s
points     = a number and "pp"                                         percentage points
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.metrics.condition import OBJECTIVES, Words, plain, take_statistic
from streamgauge.metrics.metric import Metric, PerStream, Pooled, Unit
from streamgauge.units import MS, parse_bounded

CHECKS: Final = "checks"
COMPARED: Final[dict[str, Metric]] = {
    name: metric
    for name, metric in OBJECTIVES.items()
    if isinstance(metric, PerStream | Pooled)
    or name in ("error_rate", "goodput", "output_tokens_per_s", "streams_per_s")
}
_NAMES: Final = (*COMPARED, CHECKS)
_HINT: Final = (
    'write for example "ttft p95 > +10%", "itl p50 > +2ms", "error_rate > +1pp", "output_tokens_per_s < -5%" or '
    f'"checks"; metrics: {", ".join(_NAMES)}'
)
_NUMBER: Final = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
_LIMITS: Final = {
    Unit.DURATION: "a change such as +10% or +20ms",
    Unit.PER_SECOND: "a change such as -5%",
    Unit.SHARE: "percentage points such as {sign}1pp",
}


class Kind(StrEnum):
    """What a limit counts: a share of the first side's figure, ns, or a difference of shares."""

    RELATIVE = "relative"
    DURATION = "duration"
    POINTS = "points"
    CHECKS = "checks"


class Change(NamedTuple):
    """A change for the worse by more than `limit`. The limit is positive: a share, ns, or a difference of shares."""

    metric: str
    statistic: str | None = None
    limit: float = 0.0
    kind: Kind = Kind.RELATIVE

    @property
    def sign(self) -> int:
        """1 where more is worse, and -1 where less is."""
        return -1 if self.metric in COMPARED and COMPARED[self.metric].higher_is_better else 1

    def __str__(self) -> str:
        if self.kind is Kind.CHECKS:
            return CHECKS
        sign, op = ("+", ">") if self.sign > 0 else ("-", "<")
        match self.kind:
            case Kind.DURATION:
                limit = f"{plain(self.limit / MS, 6)}ms"
            case Kind.POINTS:
                limit = f"{plain(self.limit * 100, 6)}pp"
            case _:
                limit = f"{plain(self.limit * 100, 6)}%"
        return " ".join(part for part in (self.metric, self.statistic, op, sign + limit) if part)


def parse_change(text: str) -> Change:
    """The change in `text`. Raises UsageError that points at the first character that does not fit."""
    words = Words(text, "--fail-on", _HINT)
    change = _take(words)
    if words.next:
        words.refuse("nothing more")
    return change


def _take(words: Words) -> Change:
    if words.next == CHECKS:
        words.take()
        return Change(CHECKS, kind=Kind.CHECKS)
    metric = COMPARED.get(words.next)
    if metric is None:
        words.refuse(f"the name of a metric, or {CHECKS}")
    words.take()
    statistic = None
    if metric.unit is Unit.DURATION:
        if words.next == "max":
            words.refuse("mean or a percentile such as p99: a single value, such as the maximum, has no interval")
        statistic = take_statistic(words) or "p95"
    op, sign = ("<", "-") if metric.higher_is_better else (">", "+")
    if words.next != op:
        words.refuse(op)
    words.take()
    text = words.take()
    found = _limit(text.removeprefix(sign), metric.unit) if text.startswith(sign) else None
    if found is None:
        words.refuse(_LIMITS[metric.unit].format(sign=sign), back=1)
    return Change(metric.name, statistic, *found)


def _limit(text: str, unit: Unit) -> tuple[float, Kind] | None:
    """The limit and its kind; None on a text that is none."""
    if unit is Unit.SHARE:
        points = re.fullmatch(f"({_NUMBER})pp", text)
        return (float(points[1]) / 100, Kind.POINTS) if points and float(points[1]) <= 100 else None
    if percent := re.fullmatch(f"({_NUMBER})%", text):
        return float(percent[1]) / 100, Kind.RELATIVE
    if unit is not Unit.DURATION:
        return None
    try:
        return float(parse_bounded(text, "limit")), Kind.DURATION
    except UsageError:
        return None


DEFAULT: Final = tuple(
    map(parse_change, ("ttft p50 > +5%", "ttft p95 > +10%", "itl p95 > +10%", "error_rate > +1pp", CHECKS))
)
"""The changes that fail a comparison where none is named."""
