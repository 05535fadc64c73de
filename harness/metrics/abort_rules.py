"""When a run is not worth going on with: `ttft p95 > 2s for 10s`, `error_rate > 20% for 30s`, `itl p99 > 1s`.

rule       = metric [ percentile ] ">" limit [ "for" window ]
metric     = those of an SLO (harness/metrics/slo.py), ITL pooled over the window
percentile = mean | p50 | p90 | p95 | p99 | max      p95 if not given; error_rate has none
limit      = a duration, or a percentage for error_rate
window     = a duration; 10s if not given

The rule looks at the streams that ended within the last window, from the moment that one window has passed since the
first stream ended: the first slow answer of a cold server stops nothing. No stream at all in the window stops nothing
either, because there is no figure to compare.
"""

import re
from collections import deque
from typing import Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.metrics.definitions import gaps_ns, per_stream
from streamgauge.metrics.distributions import distribution, pooled
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.slo import LATENCIES
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND, parse_bounded, show_ms

METRIC_NAMES: Final = (*LATENCIES, "error_rate")
WINDOW_NS: Final = 10 * SECOND

_GRAMMAR: Final = re.compile(r"\s*(\w+?)(?:\s+(mean|p50|p90|p95|p99|max))?\s*>\s*(\S+)(?:\s+for\s+(\S+))?\s*")
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_HINT: Final = (
    f'write for example "ttft p95 > 2s for 10s" or "error_rate > 20% for 30s"; metrics: {", ".join(METRIC_NAMES)}'
)
_NEUTRAL: Final = (Outcome.INCOMPLETE, Outcome.CANCELLED)


class AbortRule(NamedTuple):
    """Stop when the metric is above `limit` (ns, or a fraction for error_rate) over the last `window_ns`."""

    metric: str
    percentile: str | None
    limit: float
    window_ns: int

    def __str__(self) -> str:
        limit = f"{self.limit * 100:g}%" if self.percentile is None else f"{self.limit / MS:g}ms"
        what = self.metric if self.percentile is None else f"{self.metric} {self.percentile}"
        return f"{what} > {limit} for {self.window_ns / SECOND:g}s"


def parse_abort(text: str) -> AbortRule:
    """The rule in `text`. Raises UsageError that quotes it."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise UsageError(f"--abort-if {text!r} cannot be read", _HINT)
    metric, percentile, limit, window = match.groups()
    if metric not in METRIC_NAMES:
        raise UsageError(f"--abort-if {text!r} names an unknown metric {metric!r}", _HINT)
    window_ns = WINDOW_NS if window is None else parse_bounded(window, f"the window of --abort-if {text!r}:")
    if not window_ns:
        raise UsageError(f"--abort-if {text!r}: the window must be above 0", _HINT)
    if metric != "error_rate":
        value = parse_bounded(limit, f"the limit of --abort-if {text!r}:")
        return AbortRule(metric, percentile or "p95", float(value), window_ns)
    share = _SHARE.fullmatch(limit)
    if percentile or share is None or float(share[1]) >= 100:
        raise UsageError(f"--abort-if {text!r}: error_rate takes a percentage below 100%", _HINT)
    return AbortRule(metric, None, float(share[1]) / 100, window_ns)


class _Ended(NamedTuple):
    at_ns: int
    failed: bool
    value_ns: float | None
    gaps_ns: list[int]


class AbortWatch:
    """Applies one rule to the records of a run as they come. Times are epoch ns; memory is bounded by the window."""

    def __init__(self, rule: AbortRule) -> None:
        self.rule = rule
        self._ended: deque[_Ended] = deque()
        self._first_ns: int | None = None

    def add(self, record: StreamRecord) -> None:
        """Take in a stream that ended by itself; those of the warm-up and those that we left are not judged."""
        if record.warmup or record.outcome in _NEUTRAL:
            return
        at_ns = record.start_ns + (record.closed_ns or record.end_ns or 0)
        self._first_ns = at_ns if self._first_ns is None else min(self._first_ns, at_ns)
        pooled_gaps = self.rule.metric == "itl"
        value = None if pooled_gaps else per_stream(record).get(self.rule.metric)
        self._ended.append(
            _Ended(at_ns, record.outcome is not Outcome.OK, value, gaps_ns(record) if pooled_gaps else [])
        )

    def tripped(self, now_ns: int) -> str | None:
        """Why the run must stop at `now_ns`; None when it need not."""
        since_ns = now_ns - self.rule.window_ns
        # Records come nearly in the order of their ends; one that is late by a moment is dropped a moment late.
        while self._ended and self._ended[0].at_ns < since_ns:
            self._ended.popleft()
        if not self._ended or self._first_ns is None or self._first_ns > since_ns:
            return None
        seen = self._seen()
        if seen is None or seen <= self.rule.limit:
            return None
        shown = f"{seen:.1%}" if self.rule.percentile is None else show_ms(seen)
        streams = f"{len(self._ended):,} stream{'s' if len(self._ended) != 1 else ''}"
        return f"{self.rule} (it was {shown} over {streams})"

    def _seen(self) -> float | None:
        if self.rule.percentile is None:
            return sum(ended.failed for ended in self._ended) / len(self._ended)
        if self.rule.metric == "itl":
            histogram = Histogram()
            for ended in self._ended:
                histogram.add(ended.gaps_ns)
            values = pooled(histogram)
        else:
            values = distribution(ended.value_ns for ended in self._ended if ended.value_ns is not None)
        return None if values is None else float(getattr(values, self.rule.percentile)) * MS
