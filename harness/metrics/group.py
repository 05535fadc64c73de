"""The measured streams of a run, or of one class of them: their values, and the evidence for objectives over them."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable
from math import inf
from typing import Final

from streamgauge.metrics.condition import Condition
from streamgauge.metrics.definitions import BY_NAME, PER_STREAM, POOLED
from streamgauge.metrics.dependence import MOST_VALUES, Dependence, Wait, at_limit
from streamgauge.metrics.distributions import quantile_of, statistic
from streamgauge.metrics.facts import CUT, StreamFacts, share
from streamgauge.metrics.histogram import RELATIVE_ERROR, Packed
from streamgauge.metrics.intervals import Interval
from streamgauge.metrics.kept import Kept
from streamgauge.metrics.metric import Latency, PerStream, Pooled
from streamgauge.metrics.pool import Pool
from streamgauge.metrics.slo import FAR, Fate, Measured, Sample, allowed_misses, needed_streams
from streamgauge.metrics.survival import Share, Waits, interval_of_share, share_of_good
from streamgauge.metrics.survival import interval as survival_interval
from streamgauge.protocol.outcome import Outcome
from streamgauge.units import MS, plural

_BOUNDS: Final = ("ttft_bound", "itl_bound")
# Outcomes that are the same in every dialect: the endpoint itself said that it failed, or was not there.
_SAID_SO: Final = (Outcome.HTTP_ERROR, Outcome.ERROR_EVENT, Outcome.CONNECT_ERROR)


class StreamGroup:
    """Accumulates streams one by one, in memory that does not grow with their number (metrics/kept.py).

    `objectives` are those that `measured` will be asked for. With `only`, other metrics than those are not kept.
    """

    def __init__(self, objectives: Iterable[Condition] = (), only: Collection[str] | None = None) -> None:
        self.streams: Counter[str] = Counter()  # by outcome
        self.pools = {metric.name: Pool() for metric in POOLED if only is None or metric.name in only}
        self.values: defaultdict[str, Kept] = defaultdict(Kept)
        self.cuts: defaultdict[str, Kept] = defaultdict(Kept)  # how long streams waited for a value that never came
        self.fates = {fate: Kept() for fate in Fate}  # when each stream met or missed its objectives, or was cut
        self.dependence = Dependence()
        self._at_limit = {slo: _AtLimit(slo) for slo in objectives if _is_percentile_of_streams(slo)}
        self._value_of = [
            (metric.name, metric.value, metric.cut) for metric in PER_STREAM if only is None or metric.name in only
        ]
        self._pooled = [metric for metric in POOLED if metric.name in self.pools]

    @classmethod
    def of_class(cls, objectives: Collection[Condition]) -> "StreamGroup":
        """A group that keeps only the metrics of these objectives, and the error bounds of this client."""
        return cls(objectives, only={slo.metric for slo in objectives} | set(_BOUNDS))

    def add(self, stream: StreamFacts, fate: Fate, known_ns: float) -> None:
        """Add a stream. slo.fate_of gives its `fate`, and `known_ns`: when this was known, in ns since its start."""
        self.streams[stream.record.outcome.value] += 1
        self.fates[fate].add(known_ns)
        self.dependence.add(_wait(stream, fate))
        for metric in self._pooled:
            metric.add_to(self.pools[metric.name], stream)
        kept = self.values
        is_cut = stream.cut_ns is not None
        for name, value_of, cut_of in self._value_of:
            value = value_of(stream)
            if value is not None:
                kept[name].add(value)
            elif is_cut and cut_of is not None and (waited_ns := cut_of(stream)) is not None:
                self.cuts[name].add(waited_ns)
        for series in self._at_limit.values():
            series.add(stream)

    def waits(self, name: str) -> Waits:
        """The values of one per-stream metric, and how long streams had waited for one when they were cut."""
        return Waits(self.values[name].ordered, self.cuts[name].ordered)

    @property
    def count(self) -> int:
        return self.streams.total()

    @property
    def judged(self) -> int:
        """Streams that ended by themselves: neither left by their user nor cut by the end of the run."""
        return sum(n for outcome, n in self.streams.items() if outcome not in CUT)

    @property
    def goodput(self) -> Share | None:
        """The share of streams that are ok and meet every objective; None without any stream."""
        return share_of_good(*(self.fates[fate].ordered for fate in (Fate.GOOD, Fate.BAD, Fate.OPEN)))

    @property
    def undecided(self) -> int:
        """Streams that were cut before they could meet or miss the objectives."""
        return len(self.fates[Fate.OPEN])

    @property
    def decided(self) -> int:
        """Streams that met or missed the objectives."""
        return len(self.fates[Fate.GOOD]) + len(self.fates[Fate.BAD])

    @property
    def share_intervals(self) -> dict[str, Interval]:
        """Where the true shares of streams lie, by the name of the metric."""
        found = {}
        if (wrong := self._error_rate) is not None:
            found["error_rate"] = interval_of_share(
                Share(wrong, wrong), self.judged, 0, self.dependence.of("error_rate")
            )
        if (goodput := self.goodput) is not None:
            found["goodput"] = interval_of_share(goodput, self.decided, self.undecided, self.dependence.of("goodput"))
        return found

    def measured(self, slo: Condition) -> Measured | None:
        """The figure of these streams for an objective, and its interval; None without data."""
        metric = BY_NAME[slo.metric]
        return self._latency(slo, metric) if isinstance(metric, Latency) else self._share(slo)

    @property
    def surely_failed(self) -> bool:
        """Whether each stream that failed said so itself, in a way that does not depend on the dialect."""
        return self.judged - self.streams[Outcome.OK] == sum(self.streams[outcome] for outcome in _SAID_SO)

    @property
    def _error_rate(self) -> float | None:
        return share(self.judged - self.streams[Outcome.OK], self.judged)

    def _latency(self, slo: Condition, metric: Latency) -> Measured | None:
        """The figure of a latency and its interval, in ns."""
        name = slo.statistic or "max"
        values = self.pools[metric.name] if isinstance(metric, Pooled) else self.waits(metric.name)
        found = statistic(values, name)
        if found is None:
            return None
        sample = None if allowed_misses(slo) is None else self._sample(slo, values, quantile_of(name))
        known = (found.value, found.value) if sample is None else (sample.low, sample.high)
        error, rounding = self._error(metric, name), self._rounding(metric, name)
        low = max(known[0] * (1 - rounding) - error, 0.0)
        high = known[1] * (1 + rounding) + (error if metric.of_gaps else 0.0)
        shown = slo.show_measured(found.value)
        cut = 0 if isinstance(values, Pool) else len(values.cut)
        still_open = f"{plural(cut, 'wait')} had not ended when the streams were cut: give --drain"
        if found.at_least:
            return Measured(low, inf, f"≥ {shown}", still_open, sample)
        largest = inf if isinstance(values, Pool) else max((*values.ended[-1:], *values.cut[-1:]))
        if sample is not None and sample.is_far_from(slo, largest):
            return Measured(
                low, min(high, largest + error), shown, sample=sample, note=None if slo.holds(high) else FAR
            )
        if sample is not None and cut and high == inf and sample.worth >= (needed_streams(slo) or 0):
            return Measured(low, inf, shown, still_open, sample)
        if sample is not None and slo.holds(known[0]) != slo.holds(known[1]):
            return Measured(low, high, shown, sample.reason(slo), sample)
        by = f"this client's own error can be {error / MS:.2f} ms"
        if found.value * rounding > error:
            by = f"with so many values the figure is known to {found.value * rounding / MS:.2f} ms"
        return Measured(low, high, shown, f"{by}, which decides", sample)

    def _sample(self, slo: Condition, values: Waits | Pool, q: float) -> Sample:
        if isinstance(values, Pool):
            return _sample_of_pool(slo, values, q)
        return _sample_of_waits(slo, values, q, self._at_limit[slo].dependence)

    def _error(self, metric: Latency, name: str) -> float:
        """The most by which this client may distort a statistic of a latency (ns), as far as it knows."""
        tail = name == "max" or (name.startswith("p") and float(name[1:]) > 99)
        bounds = self.pools["itl_bound"] if metric.of_gaps else self.waits("ttft_bound")
        found = statistic(bounds, "max" if tail else "p99")
        return 0.0 if found is None else found.value

    def _rounding(self, metric: Latency, name: str) -> float:
        """The largest relative error that counting values in classes makes in a statistic; a maximum has none."""
        if isinstance(metric, Pooled):
            return 0.0 if name in ("mean", "max") else RELATIVE_ERROR
        return 0.0 if name == "max" else self.values[metric.name].rounding

    def _share(self, slo: Condition) -> Measured | None:
        """A share of streams and its interval. An objective for every stream is a fact of the run."""
        of_good = slo.metric == "goodput"
        wrong = self._error_rate
        found = self.goodput if of_good else None if wrong is None else Share(wrong, wrong)
        if found is None:
            return None
        shown = slo.show_measured(found.low)
        if found.high > found.low:
            shown = f"{shown} to {slo.show_measured(found.high)}"
        low, high, sample = found.low, found.high, None
        if allowed_misses(slo) is not None:
            streams = self.decided if of_good else self.judged
            beyond = 1 - found.low if of_good else found.low
            worth = streams / self.dependence.of(slo.metric)
            sample = Sample(streams, self.share_intervals[slo.metric], worth, beyond)
            low, high = sample.low, sample.high
        because = None if sample is None else sample.reason(slo)
        if slo.holds(found.low) != slo.holds(found.high):
            because = f"{plural(self.undecided, 'stream')} had neither met nor missed it when cut"
        return Measured(low, high, shown, because, sample)


class _AtLimit:
    """The newest values for an objective on a percentile: how they depend on each other decides what they are worth."""

    def __init__(self, slo: Condition) -> None:
        metric = BY_NAME[slo.metric]
        assert isinstance(metric, PerStream)
        self._slo, self._metric = slo, metric
        self._newest: deque[tuple[int, float]] = deque(maxlen=MOST_VALUES)

    def add(self, stream: StreamFacts) -> None:
        """Add a stream. One that was cut while it waited counts only when it had waited beyond the limit."""
        value = self._metric.value(stream)
        if value is None and stream.cut_ns is not None and self._metric.cut is not None:
            waited_ns = self._metric.cut(stream)
            value = None if waited_ns is None or self._slo.holds(waited_ns) else waited_ns
        if value is not None:
            self._newest.append((stream.record.start_ns, value))

    @property
    def dependence(self) -> float:
        """How many of the streams are worth one independent stream."""
        return at_limit([value for _, value in sorted(self._newest, key=_start)], self._slo.limit)


def _start(timed: tuple[int, float]) -> int:
    return timed[0]


def _is_percentile_of_streams(slo: Condition) -> bool:
    return isinstance(BY_NAME[slo.metric], PerStream) and allowed_misses(slo) is not None


def _wait(stream: StreamFacts, fate: Fate) -> Wait:
    ttft, end = stream.ttft_ns, stream.end_ns
    return Wait(
        start_ns=stream.record.start_ns,
        ttft=ttft,
        rest=None if ttft is None or end is None else end - ttft,
        whole=end,
        failed=None if stream.record.outcome in CUT else float(stream.failed),
        bad=None if fate is Fate.OPEN else float(fate is Fate.BAD),
    )


def _sample_of_pool(slo: Condition, pool: Pool, q: float) -> Sample:
    """The streams that a percentile of a pool rests on."""
    found, whole = pool.percentile(q) or Interval(None, None), pool.whole
    return Sample(pool.streams, found, pool.worth(q) or 0, 1 - Packed.of(whole).at_most(slo.limit) / whole.count)


def _sample_of_waits(slo: Condition, waits: Waits, q: float, dependence: float) -> Sample:
    """The streams that a percentile of waits rests on."""
    count = len(waits.ended) + len(waits.cut)
    beyond = sum(not slo.holds(value) for value in (*waits.ended, *waits.cut)) / count
    return Sample(count, survival_interval(waits, q, dependence), count / dependence, beyond)
