"""Service level objectives as text: `ttft p95 < 500ms`, `error_rate < 1%`, `output_tokens_per_s > 1000`.

slo       = latency [ statistic ] ( "<" | "<=" ) duration      ttft ttfb headers ttfe ttfat ttst tpot e2e itl
          | "error_rate" ( "<" | "<=" ) share
          | "goodput" ( ">" | ">=" ) share
          | rate ( ">" | ">=" ) number                         output_tokens_per_s events_per_s streams_per_s
statistic = "mean" | "max" | "p" number                        p50, p99.9; without one it holds for every stream
share     = number "%" | number                                1% is 0.01; a bare 1 is refused, as it may mean either
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, NoReturn

import msgspec

from streamgauge.errors import UsageError
from streamgauge.units import MS, parse_duration

LATENCIES: Final = ("ttft", "ttfb", "headers", "ttfe", "ttfat", "ttst", "tpot", "e2e", "itl")
SHARES: Final = ("error_rate", "goodput")
RATES: Final = ("output_tokens_per_s", "events_per_s", "streams_per_s")
METRIC_NAMES: Final = (*LATENCIES, *SHARES, *RATES)

_HINT: Final = (
    'write for example "ttft p95 < 500ms", "error_rate < 1%", "output_tokens_per_s > 1000" or "goodput > 95%"; '
    f"metrics: {', '.join(METRIC_NAMES)}"
)
_TOKEN: Final = re.compile(r"\s*([<>=]+|[^\s<>=]+)")
_STATISTIC: Final = re.compile(r"mean|max|p[0-9]{1,2}(?:\.[0-9]{1,4})?")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")


class Slo(NamedTuple):
    """One objective. `limit` is ns for a latency, a fraction for a share, and a number for a rate."""

    metric: str
    percentile: str | None
    limit: float
    op: str = "<"

    @property
    def per_stream(self) -> bool:
        """Whether one stream alone can meet it: what goodput asks."""
        return self.metric in LATENCIES

    def met_by(self, values: Mapping[str, float | None]) -> bool:
        """Whether one stream's own value keeps to the limit; a stream without the value misses it."""
        value = values.get(self.metric)
        return value is not None and self.holds(value)

    def holds(self, value: float) -> bool:
        """Whether a measured value, in the limit's own unit, keeps to the limit."""
        match self.op:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case _:
                return value >= self.limit

    def show(self, value: float) -> str:
        """A value in the unit of the limit."""
        if self.metric in LATENCIES:
            return f"{_plain(value / MS, 6)}ms"
        if self.metric in SHARES:
            return f"{_plain(value * 100, 9)}%"
        return _plain(value, 9)

    def __str__(self) -> str:
        return " ".join(part for part in (self.metric, self.percentile, self.op, self.show(self.limit)) if part)


def _plain(value: float, decimals: int) -> str:
    """Without an exponent, which the grammar does not have, and without idle zeros."""
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


class SloVerdict(StrEnum):
    """What became of an objective. No data is not a pass."""

    MET = "met"
    MISSED = "missed"
    NO_DATA = "no data"


class SloResult(msgspec.Struct, frozen=True):
    """An objective beside what was measured: `measured` is text in the limit's unit, absent without data."""

    slo: str
    measured: str | None
    verdict: SloVerdict


def judge_slo(slo: Slo, value: float | None) -> SloResult:
    """The verdict on a value in the limit's own unit (ns, fraction or number)."""
    if value is None:
        return SloResult(str(slo), None, SloVerdict.NO_DATA)
    return SloResult(str(slo), _rounded(slo, value), SloVerdict.MET if slo.holds(value) else SloVerdict.MISSED)


def _rounded(slo: Slo, value: float) -> str:
    """Short, but never on the wrong side of the limit for having been rounded."""
    step = MS / 100 if slo.metric in LATENCIES else 1e-4 if slo.metric in SHARES else 0.1
    short = round(value / step) * step
    return slo.show(short if slo.holds(short) == slo.holds(value) else value)


def parse_slo(text: str) -> Slo:
    """The objective in `text`. Raises UsageError that points at what does not fit."""
    words = [(match[1], match.start(1)) for match in _TOKEN.finditer(text)]

    def refuse(index: int, expected: str) -> NoReturn:
        word, at = words[index] if index < len(words) else ("", len(text.rstrip()))
        got = repr(word) if word else "the end"
        raise UsageError(f"SLO {text!r}, character {at + 1}: expected {expected}, got {got}", _HINT)

    if not words:
        refuse(0, "the name of a metric")
    metric = words[0][0]
    if metric not in METRIC_NAMES:
        refuse(0, "the name of a metric")
    position, percentile = 1, None
    comparisons = ("<", "<=") if metric in LATENCIES or metric == "error_rate" else (">", ">=")
    if metric in LATENCIES and len(words) > 1 and not set(words[1][0]) <= set("<>="):
        percentile = words[1][0]
        if not _STATISTIC.fullmatch(percentile) or float(percentile[1:] if percentile[0] == "p" else 1) == 0:
            refuse(1, "mean, max, a percentile such as p95 or p99.9, or <")
        position = 2
    if position >= len(words) or words[position][0] not in comparisons:
        refuse(position, " or ".join(comparisons))
    op = words[position][0]
    given, after = words[position + 1][0] if position + 1 < len(words) else "", position + 2
    if after < len(words) and _NUMBER.fullmatch(given) and not words[after][0][0].isdigit():
        given, after = given + words[after][0], after + 1  # people write `500 ms` too
    limit = _limit(metric, given)
    if limit is None:
        refuse(position + 1, _limit_of(metric))
    if after < len(words):
        refuse(after, "nothing more")
    return Slo(metric, percentile, limit, op)


def _limit_of(metric: str) -> str:
    if metric in LATENCIES:
        return "a duration with its unit, such as 500ms or 1.5s"
    return "a percentage such as 1%" if metric in SHARES else "a number such as 1000"


def _limit(metric: str, text: str) -> float | None:
    if metric in LATENCIES:
        try:
            return float(parse_duration(text))
        except UsageError:
            return None
    number = text.removesuffix("%") if metric in SHARES else text
    if not _NUMBER.fullmatch(number):
        return None
    value = float(number) / 100 if text.endswith("%") else float(number)
    if metric in SHARES and text == "1":
        return None  # who writes `error_rate < 1` means 1%, and would have an objective that nothing misses
    return value if metric in RATES or value <= 1 else None
