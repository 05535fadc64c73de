"""When to stop a run early: `ttft p95 > 2s for 10s`, `error_rate > 20% for 30s`, `itl p99 > 1s`.

rule = condition [ "for" duration ]      the condition as in metrics/condition.py; 10s if no duration is given

A latency without a statistic means its p95. Metrics are the objectives over streams for which less is better; a run
stops when one is above its limit.

The rule looks at the streams that ended within the last `duration`. It first applies when one such window has passed
since the first stream ended: the first slow answer of a cold server stops nothing. A window without a stream stops
nothing either, because there is no figure to compare. A rule with a class looks only at the streams of that class.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from streamgauge.metrics.condition import OBJECTIVES, Condition, Words, plain, take_condition, take_duration
from streamgauge.metrics.distributions import statistic
from streamgauge.metrics.facts import CUT, RunFacts, StreamFacts
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.metric import Metric, OfRun, PerStream, Pooled, Unit
from streamgauge.metrics.survival import Waits
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import SECOND, plural, show_ms

METRICS: Final = {
    name: metric
    for name, metric in OBJECTIVES.items()
    if not metric.higher_is_better and (not isinstance(metric, OfRun) or metric.of_streams)
}
WINDOW_NS: Final = 10 * SECOND

_COMPARISONS: Final = dict.fromkeys(METRICS, (">", ">="))
_HINT: Final = f'write for example "ttft p95 > 2s for 10s" or "error_rate > 20% for 30s"; metrics: {", ".join(METRICS)}'


class AbortRule(NamedTuple):
    """Stop when `condition` holds over the streams that ended in the last `window_ns`."""

    condition: Condition
    window_ns: int = WINDOW_NS

    def __str__(self) -> str:
        return f"{self.condition} for {plain(self.window_ns / SECOND, 9)}s"


def parse_abort(text: str) -> AbortRule:
    """The rule in `text`. Raises UsageError that points at the first character that does not fit."""
    words = Words(text, "--abort-if", _HINT)
    condition = take_condition(words, METRICS, _COMPARISONS)
    if condition.unit is Unit.DURATION and condition.statistic is None:
        condition = condition._replace(statistic="p95")
    if not words.next:
        return AbortRule(condition)
    if words.take() != "for":
        words.refuse("for and a duration, or nothing more", back=1)
    window_ns = take_duration(words)
    if not window_ns:
        words.refuse("a duration above 0", back=1)
    if words.next:
        words.refuse("nothing more")
    return AbortRule(condition, window_ns)


class _Ended(NamedTuple):
    at_ns: int
    ok: bool
    values: Sequence[float]


class AbortWatch:
    """Applies one rule to the records of a run as they come. Times are epoch ns; memory is bounded by the window."""

    def __init__(self, rule: AbortRule) -> None:
        self.rule = rule
        self._metric = METRICS[rule.condition.metric]
        self._ended: deque[_Ended] = deque()
        self._first_ns: int | None = None

    def add(self, record: StreamRecord) -> None:
        """Take in a stream that ended by itself. Streams of the warm-up and streams that were cut do not count."""
        if record.warmup or record.outcome in CUT or not self.rule.condition.covers(record):
            return
        at_ns = record.start_ns + (record.closed_ns or record.end_ns or 0)
        self._first_ns = at_ns if self._first_ns is None else min(self._first_ns, at_ns)
        values = _values(self._metric, StreamFacts(record))
        self._ended.append(_Ended(at_ns, record.outcome is Outcome.OK, values))

    def tripped(self, now_ns: int) -> str | None:
        """Why the run must stop at `now_ns`; None when it need not stop."""
        since_ns = now_ns - self.rule.window_ns
        # Records come nearly in the order of their ends; a record that comes late is dropped late by the same delay.
        while self._ended and self._ended[0].at_ns < since_ns:
            self._ended.popleft()
        if not self._ended or self._first_ns is None or self._first_ns > since_ns:
            return None
        condition = self.rule.condition
        measured = self._measured()
        if measured is None or not condition.holds(measured):
            return None
        shown = show_ms(measured) if condition.unit is Unit.DURATION else f"{measured:.1%}"
        return f"{self.rule} (it was {shown} over {plural(len(self._ended), 'stream')})"

    def _measured(self) -> float | None:
        """The metric over the window, in the unit of the rule's limit."""
        if isinstance(self._metric, OfRun):
            count = len(self._ended)
            return self._metric.value(RunFacts(judged=count, ok=sum(ended.ok for ended in self._ended)))
        name = self.rule.condition.statistic or "max"
        if isinstance(self._metric, Pooled):
            pool = Histogram()
            for ended in self._ended:
                pool.add(map(round, ended.values))
            found = statistic(pool, name)
        else:
            found = statistic(Waits(sorted(value for ended in self._ended for value in ended.values)), name)
        return None if found is None else found.value


def _values(metric: Metric, stream: StreamFacts) -> Sequence[float]:
    """The values of one stream, in ns, that a rule on a latency looks at."""
    if isinstance(metric, Pooled):
        return metric.values(stream)
    value = metric.of_stream(stream) if isinstance(metric, PerStream) else None
    return () if value is None else (value,)
