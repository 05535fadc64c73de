"""Service level objectives: conditions that a run must meet, such as `ttft p95 < 500ms` or `goodput > 95%`.

The grammar is in metrics/condition.py. A latency without a statistic must hold for every stream.
"""

from enum import StrEnum
from typing import Final

import msgspec

from streamgauge.metrics.condition import OBJECTIVES, Condition, Words, take_condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.metric import PerStream, Pooled

_COMPARISONS: Final = {
    metric.name: (">", ">=") if metric.higher_is_better else ("<", "<=") for metric in OBJECTIVES.values()
}
_HINT: Final = (
    'write for example "ttft p95 < 500ms", "error_rate < 1%", "output_tokens_per_s > 1000" or "goodput > 95%"; '
    f"metrics: {', '.join(OBJECTIVES)}"
)


class SloVerdict(StrEnum):
    """Whether a run met an objective. No data is not a pass."""

    MET = "met"
    MISSED = "missed"
    NO_DATA = "no data"


class SloResult(msgspec.Struct, frozen=True):
    """An objective and its verdict; `measured` is text in the limit's unit, absent without data."""

    slo: str
    measured: str | None
    verdict: SloVerdict


def parse_slo(text: str) -> Condition:
    """The objective in `text`. Raises UsageError that points at the first character that does not fit."""
    words = Words(text, "SLO", _HINT)
    slo = take_condition(words, OBJECTIVES, _COMPARISONS)
    if words.next:
        words.refuse("nothing more")
    return slo


def judge_slo(slo: Condition, value: float | None) -> SloResult:
    """The verdict on a value in the limit's own unit (ns, fraction or number)."""
    if value is None:
        return SloResult(str(slo), None, SloVerdict.NO_DATA)
    return SloResult(str(slo), slo.show_measured(value), SloVerdict.MET if slo.holds(value) else SloVerdict.MISSED)


def is_per_stream(slo: Condition) -> bool:
    """Whether one stream alone can meet the objective; goodput asks only for these."""
    return isinstance(BY_NAME[slo.metric], PerStream | Pooled)


def met_by(slo: Condition, stream: StreamFacts) -> bool:
    """Whether one stream's own value keeps to the limit; a stream without a value misses it."""
    metric = BY_NAME[slo.metric]
    value = metric.of_stream(stream) if isinstance(metric, PerStream | Pooled) else None
    return value is not None and slo.holds(value)
