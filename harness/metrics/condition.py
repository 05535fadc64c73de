"""A figure of a run compared with a limit, as text: the one grammar of `--slo` and `--abort-if`.

condition  = latency [ statistic ] comparison duration [ class ]      ttft p95 < 500ms where prompt <= 1k
           | share comparison fraction [ class ]                      error_rate > 20%
           | rate comparison number                                   output_tokens_per_s > 1000
statistic  = "mean" | "max" | "p" number                    p50, p99.9
comparison = "<" | "<=" | ">" | ">="
duration   = a number and a unit, at most a week            500ms, 1.5s, 2m30s
fraction   = number "%" | number                            1% is 0.01; a bare 1 is refused: it could mean 1% or 100%
class      = "where" bound { "and" bound }                  where prompt > 1k and prompt <= 8k
bound      = property ( comparison | "=" ) tokens           turn > 1
property   = "prompt" | "output" | "turn"                   tokens that the load asks for; number of a session's turn
tokens     = a whole number, or a number and "k"            1k is 1,000

The metrics are those that metrics/definitions.py declares as objectives. `--abort-if` adds [ "for" duration ].
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from streamgauge.errors import UsageError
from streamgauge.metrics.definitions import BY_NAME, METRICS
from streamgauge.metrics.metric import Latency, Metric, OfRun, Unit
from streamgauge.metrics.stream_class import COMPARISONS, PROPERTIES, Bound, Class
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, decimals_of_ms, parse_bounded

OBJECTIVES: Final = {metric.name: metric for metric in METRICS if metric.objective}

_WORD: Final = re.compile(r"\s*([<>=]+|[^\s<>=]+)")
_STATISTIC: Final = re.compile(r"mean|max|p[0-9]{1,2}(?:\.[0-9]{1,4})?")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_TOKENS: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?k|[0-9]{1,9}")
_AFTER_LIMIT: Final = ("for", "where")
_LIMITS: Final = {
    Unit.DURATION: "a duration of at most a week, such as 500ms, 1.5s or 2m30s",
    Unit.SHARE: "a percentage such as 1%",
    Unit.PER_SECOND: "a number such as 1000",
    Unit.COUNT: "a number such as 10",
}
_STEPS: Final = {Unit.SHARE: 1e-4, Unit.PER_SECOND: 0.1, Unit.COUNT: 1}


class Condition(NamedTuple):
    """`metric statistic op limit`. `limit` is ns for a latency, a fraction for a share, and a number for a rate.

    `where` is the class of streams that it is about; empty for all streams.
    """

    metric: str
    statistic: str | None
    limit: float
    op: str = "<"
    where: Class = ()

    @property
    def unit(self) -> Unit:
        return BY_NAME[self.metric].unit

    def holds(self, value: float) -> bool:
        """Whether a measured value, in the limit's own unit, fulfils the condition."""
        return COMPARISONS[self.op](value, self.limit)

    def covers(self, record: StreamRecord) -> bool:
        """Whether the stream belongs to the class."""
        return all(bound.holds(record) for bound in self.where)

    def show(self, value: float) -> str:
        """A value in the unit of the limit."""
        if math.isinf(value):
            return "∞"
        match self.unit:
            case Unit.DURATION:
                return f"{plain(value / MS, 6)}ms"
            case Unit.SHARE:
                return f"{plain(value * 100, 9)}%"
            case _:
                return plain(value, 9)

    def show_measured(self, value: float) -> str:
        """A measured value rounded for people, but never onto the other side of the limit."""
        if math.isinf(value):
            return self.show(value)
        step = MS / 10 ** decimals_of_ms(value / MS) if self.unit is Unit.DURATION else _STEPS[self.unit]
        short = round(value / step) * step
        return self.show(short if self.holds(short) == self.holds(value) else value)

    def __str__(self) -> str:
        where = f"where {' and '.join(map(str, self.where))}" if self.where else None
        return " ".join(part for part in (self.metric, self.statistic, self.op, self.show(self.limit), where) if part)


def plain(value: float, decimals: int) -> str:
    """Without an exponent, which the grammar does not have, and without trailing zeros."""
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


class Words:
    """The words of a condition, taken from left to right; an error points at the character of the current word."""

    def __init__(self, text: str, label: str, hint: str) -> None:
        self._text, self._label, self._hint = text, label, hint
        self._words = [(match[1], match.start(1)) for match in _WORD.finditer(text)]
        self._at = 0

    @property
    def next(self) -> str:
        """The next word; empty at the end."""
        return self._words[self._at][0] if self._at < len(self._words) else ""

    def take(self) -> str:
        """The next word; the one after it becomes the next."""
        word = self.next
        self._at += 1
        return word

    def refuse(self, expected: str, back: int = 0) -> NoReturn:
        """Raise UsageError that points at the next word, or at the word `back` words before it."""
        index = self._at - back
        word, at = self._words[index] if index < len(self._words) else ("", len(self._text.rstrip()))
        got = repr(word) if word else "the end"
        raise UsageError(
            f"{self._label} {self._text!r}, character {at + 1}: expected {expected}, got {got}", self._hint
        )


def take_condition(words: Words, metrics: Mapping[str, Metric], comparisons: Mapping[str, Sequence[str]]) -> Condition:
    """The condition at the beginning of `words`; `comparisons` has the allowed ones of each metric.

    Raises UsageError that points at the first character that does not fit.
    """
    metric = metrics.get(words.next)
    if metric is None:
        words.refuse("the name of a metric")
    words.take()
    statistic = take_statistic(words) if metric.unit is Unit.DURATION else None
    allowed = comparisons[metric.name]
    if words.next not in allowed:
        words.refuse(" or ".join(allowed))
    op = words.take()
    limit = _take_limit(words, metric.unit)
    return Condition(metric.name, statistic, limit, op, _take_class(words, metric))


def take_duration(words: Words) -> int:
    """The duration at the beginning of `words`, in ns. Raises UsageError that points at it."""
    return round(_take_limit(words, Unit.DURATION))


def take_statistic(words: Words) -> str | None:
    """The statistic at the beginning of `words`; None before a comparison. Raises UsageError that points at it."""
    word = words.next
    if not word or set(word) <= set("<>="):
        return None
    if not _STATISTIC.fullmatch(word) or float(word[1:] if word[0] == "p" else 1) == 0:
        words.refuse("mean, max, a percentile such as p95 or p99.9, or a comparison")
    return words.take()


def _take_class(words: Words, metric: Metric) -> Class:
    if words.next != "where":
        return ()
    if not (isinstance(metric, Latency) or (isinstance(metric, OfRun) and metric.of_streams)):
        words.refuse(f"nothing more, because {metric.name} has no classes of streams")
    bounds: list[Bound] = []
    while words.next == ("and" if bounds else "where"):
        words.take()
        bounds.append(_take_bound(words))
    return tuple(bounds)


def _take_bound(words: Words) -> Bound:
    if words.next not in PROPERTIES:
        words.refuse(" or ".join(PROPERTIES))
    name = words.take()
    if words.next not in COMPARISONS:
        words.refuse(" or ".join(COMPARISONS))
    op = words.take()
    match = _TOKENS.fullmatch(words.next)
    if match is None:
        words.refuse("a whole number such as 2, 1000 or 1k")
    words.take()
    whole, thousandths = match[1], match[2] or ""
    return Bound(name, op, int(match[0]) if whole is None else int(whole + thousandths.ljust(3, "0")))


def _take_limit(words: Words, unit: Unit) -> float:
    text, taken = words.take(), 1
    if _NUMBER.fullmatch(text) and words.next and not words.next[0].isdigit() and words.next not in _AFTER_LIMIT:
        text, taken = text + words.take(), 2  # people write `500 ms` too
    limit = _limit(unit, text)
    if limit is None:
        words.refuse(_LIMITS[unit], back=taken)
    return limit


def _limit(unit: Unit, text: str) -> float | None:
    if unit is Unit.DURATION:
        try:
            return float(parse_bounded(text, "limit"))
        except UsageError:
            return None
    number = text.removesuffix("%") if unit is Unit.SHARE else text
    if not _NUMBER.fullmatch(number):
        return None
    value = float(number) / 100 if text.endswith("%") else float(number)
    if unit is Unit.SHARE and text == "1":
        return None  # `error_rate < 1` is meant as 1%, but would read as 100%, which no run can miss
    return value if unit is not Unit.SHARE or value <= 1 else None
