"""Service level objectives: conditions that a run must meet, such as `ttft p95 < 500ms` or `goodput > 95%`.

The grammar is in metrics/condition.py. A latency without a statistic must hold for every stream.

A verdict is never stronger than its evidence. The evidence is an interval in which the true figure of the endpoint
lies. Three things make it wide: the sample (metrics/intervals.py), waits that had not ended, and the stated error of
this client. An objective that holds in the whole interval is met, one that holds nowhere in it is missed, and any other
is undecided. Without data it is undecided, too.

An objective for every stream of the run has no interval: `max`, a latency without a statistic, `error_rate <= 0%` and
`goodput >= 100%`. It is a fact of this run, and so are `mean` and the rates.
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from streamgauge.metrics.condition import OBJECTIVES, Condition, Words, take_condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.distributions import quantile_of
from streamgauge.metrics.facts import CUT, StreamFacts
from streamgauge.metrics.intervals import CONFIDENCE, Interval, needed, normal
from streamgauge.metrics.metric import OfRun, PerStream, Pooled, Unit
from streamgauge.metrics.pool import LEAST_BLOCKS
from streamgauge.metrics.validity import Scope
from streamgauge.protocol.outcome import Outcome
from streamgauge.units import plural, two_digits_up

_COMPARISONS: Final = {
    metric.name: (">", ">=") if metric.higher_is_better else ("<", "<=") for metric in OBJECTIVES.values()
}
_HINT: Final = (
    'write for example "ttft p95 < 500ms", "error_rate < 1%", "output_tokens_per_s > 1000", "goodput > 95%", or with a '
    'class of streams "ttft p95 < 500ms where prompt <= 1k"; '
    f"metrics: {', '.join(OBJECTIVES)}"
)
NO_DATA: Final = "no data: no stream came far enough"
NO_SESSION: Final = "no data: no session ended"
NOT_IN_CLASS: Final = "no data: no stream of the run belongs to this class"
_SURE: Final = normal(CONFIDENCE)
_MOST: Final = 1_000_000
_CLEARLY_LESS: Final = 0.8
FAR_SHARE: Final = 0.5
"""Where no stream takes more than this share of a limit, how streams beyond it depend on each other says nothing."""
FAR: Final = "no stream took more than half of the limit"


class SloVerdict(StrEnum):
    """Whether a run met an objective. Without data, or where the evidence allows both, it is undecided."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


class SloResult(msgspec.Struct, frozen=True):
    """An objective and its verdict. `measured` is text in the limit's unit, absent without data.

    `reason` says why the objective is undecided, or why it is met although the interval is open. `interval` is text,
    too: where the true figure lies with a confidence of 95 %, as `streams` streams show it. At least `needed` streams,
    none of them beyond the limit, can meet the objective. These three are absent for a fact of the run. With `counted`
    "session", they are numbers of sessions.
    """

    slo: str
    measured: str | None
    verdict: SloVerdict
    reason: str | None = None
    interval: str | None = None
    streams: int | None = None
    needed: int | None = None
    counted: str = "stream"

    @property
    def count(self) -> str | None:
        """How many streams or sessions the figure rests on, as text; the word "streams" is left out."""
        if self.streams is None:
            return None
        return f"{self.streams:,}" if self.counted == "stream" else plural(self.streams, self.counted)


class Sample(NamedTuple):
    """The streams that a figure rests on, and the interval that they give it, in the unit of the objective.

    `worth` independent values would tell as much; `beyond` is the share of values that do not hold the limit.
    """

    streams: int
    interval: Interval
    worth: float
    beyond: float

    @property
    def low(self) -> float:
        return 0.0 if self.interval.low is None else self.interval.low

    @property
    def high(self) -> float:
        return math.inf if self.interval.high is None else self.interval.high

    def show(self, slo: Condition) -> str:
        """The interval as text."""
        low, high = (None if end is None else slo.show_measured(end) for end in self.interval)
        if low is not None and high is not None:
            return low if low == high else f"{low} to {high}"
        return "not known" if low == high else f"at least {low}" if high is None else f"at most {high}"

    def reason(self, slo: Condition) -> str:
        """Why the sample does not decide the objective, and how many streams would."""
        streams = plural(self.streams, counted(slo)) + (" of this class" if slo.where else "")
        few = f"{streams} {'is' if self.streams == 1 else 'are'} too few"
        if self.worth < _CLEARLY_LESS * self.streams and self.worth >= 1:
            few = f"{streams} that depend on each other, and are worth {self.worth:.0f}, are too few"
        return f"{few}: {self._enough(slo)}"

    def is_far_from(self, slo: Condition, largest: float) -> bool:
        """Whether no stream came near the limit, and there are enough for that to say something.

        How streams beyond the limit would depend on each other cannot be known, because there are none.
        """
        least = needed_streams(slo)
        return (
            least is not None and self.streams >= least and slo.op.startswith("<") and largest <= FAR_SHARE * slo.limit
        )

    def _enough(self, slo: Condition) -> str:
        least, allowed = needed_streams(slo), allowed_misses(slo)
        if least is None or allowed is None:
            return "more streams may decide it"
        share = self.streams / max(self.worth, 1)  # streams that are worth an independent one
        if least > self.worth and not self.beyond:
            return f"{math.ceil(least * share):,} without a miss would decide it"
        if math.isclose(self.beyond, allowed):
            return "the figure is too near the limit for any number of streams"
        values = _SURE**2 * max(self.beyond * (1 - self.beyond), allowed / 4) / (self.beyond - allowed) ** 2
        streams = max(values * share, least * share, self.streams + 1)
        if streams > _MOST:
            return "the figure is too near the limit for a million streams"
        return f"about {two_digits_up(streams):,} would decide it"


class Measured(NamedTuple):
    """A figure of a run in the unit of its objective. The true figure lies between `low` and `high`.

    `because` says why the interval is wider than a point: the sample, waits that had not ended, or the error of this
    client. `note` belongs to an objective that is met.
    """

    low: float
    high: float
    shown: str
    because: str | None = None
    sample: Sample | None = None
    note: str | None = None


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


def judge_slo(slo: Condition, measured: Measured | None, doubt: str | None = None, absent: str = NO_DATA) -> SloResult:
    """The verdict on a figure. `doubt` says why the client could have distorted every figure: then nothing is met.

    `absent` says why there is no figure.
    """
    if measured is None:
        return SloResult(str(slo), None, SloVerdict.UNDECIDED, absent, needed=needed_streams(slo))
    ends = {slo.holds(measured.low), slo.holds(measured.high)}
    reason = measured.because if ends == {True, False} else doubt
    verdict = SloVerdict.MISSED if ends == {False} else SloVerdict.MET if reason is None else SloVerdict.UNDECIDED
    sample = measured.sample
    return SloResult(
        str(slo),
        measured.shown,
        verdict,
        measured.note if verdict is SloVerdict.MET else None if verdict is SloVerdict.MISSED else reason,
        interval=None if sample is None else sample.show(slo),
        streams=None if sample is None else sample.streams,
        needed=None if sample is None else needed_streams(slo),
        counted=counted(slo),
    )


def counted(slo: Condition) -> str:
    """What the sample of an objective consists of: `stream` or `session`."""
    metric = BY_NAME[slo.metric]
    return metric.counts if isinstance(metric, OfRun) else "stream"


def allowed_misses(slo: Condition) -> float | None:
    """The share of streams that may be beyond the limit; None for a fact of the run."""
    unit, higher = BY_NAME[slo.metric].unit, BY_NAME[slo.metric].higher_is_better
    if unit is Unit.DURATION:
        return None if slo.statistic in (None, "mean", "max") else 1 - quantile_of(slo.statistic)
    if unit is not Unit.SHARE:
        return None
    allowed = 1 - slo.limit if higher else slo.limit
    return allowed if 0 < allowed < 1 else None


def needed_streams(slo: Condition) -> int | None:
    """How many streams, none of them beyond the limit, can meet the objective; None for a fact of the run."""
    allowed = allowed_misses(slo)
    if allowed is None:
        return None
    if BY_NAME[slo.metric].unit is Unit.SHARE:
        return math.floor(_SURE**2 * (1 - allowed) / allowed) + 1  # the end of Wilson's interval without a miss
    streams = needed(1 - allowed)
    return max(streams, LEAST_BLOCKS) if isinstance(BY_NAME[slo.metric], Pooled) else streams


def is_per_stream(slo: Condition) -> bool:
    """Whether one stream alone can meet the objective; goodput asks only for these."""
    return isinstance(BY_NAME[slo.metric], PerStream | Pooled)


def scopes_of(slos: Sequence[Condition], every: Sequence[Condition]) -> frozenset[Scope]:
    """The doubts about this client that concern these objectives, of `every` one. Goodput rests on all objectives that
    a single stream meets or misses.
    """
    rests_on = {slo.metric for slo in slos}
    if "goodput" in rests_on:
        rests_on |= {slo.metric for slo in every if is_per_stream(slo)}
    return scopes_of_metrics(rests_on)


def scopes_of_metrics(names: Iterable[str]) -> frozenset[Scope]:
    """The doubts about this client that concern these metrics."""
    return frozenset().union(*(BY_NAME[name].scopes for name in names))


def fate_of(stream: StreamFacts, slos: Sequence[Condition]) -> tuple[Fate, float]:
    """What became of a stream, and when it was known (ns since its start). Objectives of other classes do not count."""
    record = stream.record
    over_ns = record.closed_ns or record.end_ns or 0
    missed = [slo for slo in slos if slo.covers(record) and _missed(slo, stream)]
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
