"""Service level objectives: conditions that a run must meet, such as `ttft p95 < 500ms` or `goodput > 95%`.

The grammar is in metrics/condition.py. A latency without a statistic must hold for every stream.

A verdict is never stronger than its evidence. The evidence is an interval in which the true figure lies: waits that had
not ended leave it open upwards, and the client's stated error bound widens it. An objective that holds in the whole
interval is met, one that holds nowhere in it is missed, and any other is undecided. Without data it is undecided, too.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from streamgauge.metrics.condition import OBJECTIVES, Condition, Words, take_condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.facts import CUT, StreamFacts
from streamgauge.metrics.metric import PerStream, Pooled
from streamgauge.protocol.outcome import Outcome

_COMPARISONS: Final = {
    metric.name: (">", ">=") if metric.higher_is_better else ("<", "<=") for metric in OBJECTIVES.values()
}
_HINT: Final = (
    'write for example "ttft p95 < 500ms", "error_rate < 1%", "output_tokens_per_s > 1000" or "goodput > 95%"; '
    f"metrics: {', '.join(OBJECTIVES)}"
)
NO_DATA: Final = "no data: no stream came far enough"


class SloVerdict(StrEnum):
    """Whether a run met an objective. Without data, or where the evidence allows both, it is undecided."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


class SloResult(msgspec.Struct, frozen=True):
    """An objective and its verdict. `measured` is text in the limit's unit, absent without data.

    `reason` says why the objective is undecided.
    """

    slo: str
    measured: str | None
    verdict: SloVerdict
    reason: str | None = None


class Measured(NamedTuple):
    """A figure of a run in the unit of its objective. The true figure lies between `low` and `high`.

    `because` says why the interval is wider than a point: waits that had not ended, or the error of this client.
    """

    low: float
    high: float
    shown: str
    because: str | None = None


class Fate(StrEnum):
    """What became of a stream, with regard to its objectives. An open one was cut before it could meet or miss them."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"


def parse_slo(text: str) -> Condition:
    """The objective in `text`. Raises UsageError that points at the first character that does not fit."""
    words = Words(text, "SLO", _HINT)
    slo = take_condition(words, OBJECTIVES, _COMPARISONS)
    if words.next:
        words.refuse("nothing more")
    return slo


def judge_slo(slo: Condition, measured: Measured | None, doubt: str | None = None) -> SloResult:
    """The verdict on a figure. `doubt` says why the client could have distorted every figure: then nothing is met."""
    if measured is None:
        return SloResult(str(slo), None, SloVerdict.UNDECIDED, NO_DATA)
    ends = {slo.holds(measured.low), slo.holds(measured.high)}
    if ends == {False}:
        return SloResult(str(slo), measured.shown, SloVerdict.MISSED)
    reason = measured.because if ends == {True, False} else doubt
    verdict = SloVerdict.MET if reason is None else SloVerdict.UNDECIDED
    return SloResult(str(slo), measured.shown, verdict, reason)


def is_per_stream(slo: Condition) -> bool:
    """Whether one stream alone can meet the objective; goodput asks only for these."""
    return isinstance(BY_NAME[slo.metric], PerStream | Pooled)


def fate_of(stream: StreamFacts, slos: Sequence[Condition]) -> tuple[Fate, float]:
    """What became of a stream, and when it was known (ns since its start)."""
    record = stream.record
    over_ns = record.closed_ns or record.end_ns or 0
    missed = [slo for slo in slos if _missed(slo, stream)]
    if missed:
        return Fate.BAD, min(_known_ns(slo, over_ns) for slo in missed)
    if record.outcome in CUT:
        return Fate.OPEN, over_ns
    return (Fate.GOOD if record.outcome is Outcome.OK else Fate.BAD), over_ns


def _missed(slo: Condition, stream: StreamFacts) -> bool:
    """Whether a stream certainly misses an objective. One that ended without a value misses it."""
    metric = BY_NAME[slo.metric]
    if not isinstance(metric, PerStream | Pooled):
        return False
    value = metric.of_stream(stream)
    if stream.record.outcome not in CUT:
        return value is None or not slo.holds(value)
    if isinstance(metric, PerStream):
        if metric.cut is None:
            return False  # the rest of the stream could still have changed the value
        value = metric.cut(stream) if value is None else value
    return value is not None and not slo.holds(value)


def _known_ns(slo: Condition, over_ns: float) -> float:
    """When a miss was known: a wait misses its limit at the limit, anything else at the end of the stream."""
    metric = BY_NAME[slo.metric]
    return min(slo.limit, over_ns) if isinstance(metric, PerStream) and metric.cut is not None else over_ns
