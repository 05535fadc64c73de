"""A run in figures: records are added one by one, and the summary says what they come to."""

import math
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.metrics.definitions import (
    LATE_NS,
    NEUTRAL,
    coalesced,
    gaps_of,
    per_stream,
    schedule_delay_ns,
    stalls_of,
)
from streamgauge.metrics.distributions import Distribution, nearest_rank, of_sorted, pooled
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import WorkerRow, busiest, lateness
from streamgauge.metrics.slo import LATENCIES, Slo, SloResult, judge_slo
from streamgauge.metrics.validity import LATE_READ_NS, ClientEvidence, Validity, itl_bounds_ns, ttft_bound_ns, validity
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import SECOND

MAX_FAILURE_KINDS: Final = 200


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`summary` of run.json. A distribution without data is null."""

    streams: dict[str, int]
    window_s: float
    ttft_ms: Distribution | None
    ttfb_ms: Distribution | None
    headers_ms: Distribution | None
    ttfat_ms: Distribution | None
    itl_ms: Distribution | None
    tpot_ms: Distribution | None
    e2e_ms: Distribution | None
    client_lag_ms: Distribution | None
    connect_ms: Distribution | None
    ttft_any_chunk_ms: Distribution | None
    tpot_incl_first_ms: Distribution | None
    itl_request_mean_ms: Distribution | None
    output_tokens: int
    token_events: int
    tokens_source: str | None
    output_tokens_per_s: float | None
    events_per_s: float | None
    streams_per_s: float | None
    coalesced_share: float | None
    stalls: int
    goodput: float | None
    slos: list[str]
    stamp_source: str | None
    unstamped_reads: int
    validity: Validity
    schedule_delay_ms: Distribution | None = None
    ttft_intended_ms: Distribution | None = None
    e2e_intended_ms: Distribution | None = None
    warmup_streams: int = 0
    ttft_bound_ms: Distribution | None = None
    itl_bound_ms: Distribution | None = None
    loop_late_ms: Distribution | None = None
    merged_share: float | None = None
    busiest_core: float | None = None
    slo_results: list[SloResult] = []
    window_tokens: int | None = None


def _floats() -> "array[float]":
    return array("d")


class Timing(NamedTuple):
    """What adding a stream computes on its way, for those who want it next: token arrivals, gaps and stalls, all ns."""

    tokens: list[int]
    gaps: list[int]
    stalls: list[int]


class Window(msgspec.Struct, frozen=True):
    """What of a run is measured, epoch ns: from the end of the warm-up to the last moment at which streams start."""

    begin_ns: int
    end_ns: int

    def until(self, at_ns: int) -> "Window":
        """The window of a run that was cut short then."""
        return Window(self.begin_ns, max(min(self.end_ns, at_ns), self.begin_ns))

    def share(self, record: StreamRecord, times: Sequence[int]) -> float:
        """Which share of a stream's tokens came in it; `times` are their arrivals since its start, in order."""
        if not times:
            return float(not record.warmup)
        low, high = self.begin_ns - record.start_ns, self.end_ns - record.start_ns
        return (bisect_left(times, high) - bisect_left(times, low)) / len(times)


class Failure(NamedTuple):
    """One way in which streams failed."""

    outcome: str
    status: int | None
    detail: str


class Totals:
    """Accumulates records one by one; event times are not kept, so memory does not grow with the length of streams.

    Per-stream values are kept whole, as 8 bytes each, because percentiles are exact over all streams: 14 metrics of a
    million streams take about 110 MB. Without a `window`, the rates are those of the measured streams from the first
    start to the last end.
    """

    def __init__(self, slos: Iterable[Slo] = (), window: Window | None = None) -> None:
        self.slos = list(slos)
        self.window = window
        self.window_tokens = self.window_events = 0.0
        self.streams: Counter[str] = Counter()
        self.itl = Histogram()
        self.itl_bound = Histogram()
        self.lag = Histogram()
        self.values: defaultdict[str, array[float]] = defaultdict(_floats)
        self._sorted: dict[str, int] = {}  # how many of the values are in order already
        self.merged = self.unbounded = 0
        self.output_tokens = self.token_events = self.coalesced = self.stalls = self.unstamped = 0
        self.reads = 0
        self.good = 0
        self.sources: set[str] = set()
        self.stamps: set[str] = set()
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.warmup = self.late = self.started = 0
        self.first_intended_ns: int | None = None
        self.failures: Counter[Failure] = Counter()  # of the warm-up as well: what fails there is worth knowing

    def add(self, record: StreamRecord) -> Timing:
        """Count one stream. Latencies come from every stream that got that far; `streams` says how many were ok.

        One that started in the warm-up is only counted, and whether it was late.
        """
        self.started += 1
        self.late += (schedule_delay_ns(record) or 0) > LATE_NS
        if record.intended_ns is not None:
            self.first_intended_ns = min(record.intended_ns, self.first_intended_ns or record.intended_ns)
        if record.outcome not in NEUTRAL:
            failure = Failure(record.outcome.value, record.status, record.detail or "")
            if failure in self.failures or len(self.failures) < MAX_FAILURE_KINDS:
                self.failures[failure] += 1
        times = record.token_ns
        gaps = gaps_of(times)
        timing = Timing(times, gaps, stalls_of(gaps))
        share = float(not record.warmup) if self.window is None else self.window.share(record, times)
        self.window_tokens += share * (record.output_tokens or 0)
        self.window_events += share * record.events
        if record.warmup:
            self.warmup += 1
            return timing
        self.streams[record.outcome.value] += 1
        closed = record.start_ns + (record.closed_ns or record.end_ns or 0)
        self.first_ns = record.start_ns if self.first_ns is None else min(self.first_ns, record.start_ns)
        self.last_ns = closed if self.last_ns is None else max(self.last_ns, closed)
        self.itl.add(gaps)
        self.reads += len(record.reads.at_ns)
        self.unstamped += record.unstamped_reads
        if record.stamp_source != "user":
            self.lag.add(record.reads.lag_ns)
        if record.stamp_source:
            self.stamps.add(record.stamp_source)
        if record.tokens_source:
            self.sources.add(record.tokens_source)
        self.token_events += len(times)
        self.output_tokens += record.output_tokens or 0
        self.coalesced += coalesced(record)
        bounds = itl_bounds_ns(record)
        self.itl_bound.add(bounds)
        self.itl_bound.add_zeros(len(gaps) - len(bounds))
        self.merged += sum(bound > LATE_READ_NS for bound in bounds)
        self.stalls += len(timing.stalls)
        values = per_stream(record, gaps)
        if record.outcome is Outcome.OK and all(slo.met_by(values) for slo in self.slos if slo.per_stream):
            self.good += 1
        kept = self.values
        for name, value in values.items():
            if value is not None:
                kept[name].append(value)
        if times:
            bound = ttft_bound_ns(record)
            if bound is None:
                self.unbounded += 1
            else:
                kept["ttft_bound"].append(bound)
        return timing

    def judge_slo(self, slo: Slo) -> SloResult:
        """An objective over the whole run. Without a statistic, the slowest stream decides."""
        return judge_slo(slo, self._measure(slo))

    def _measure(self, slo: Slo) -> float | None:
        """In the unit of the objective's limit; None without data."""
        if slo.metric not in LATENCIES:
            return self._rates()[slo.metric]
        statistic = slo.percentile or "max"
        pool = self.itl if slo.metric == "itl" else None
        ordered = () if pool else self._ordered(slo.metric)
        count = pool.count if pool else len(ordered)
        if not count:
            return None
        if statistic == "mean":
            return (pool.total if pool else math.fsum(ordered)) / count
        if statistic == "max":
            return (pool.maximum or 0) if pool else ordered[-1]
        q = float(statistic[1:]) / 100
        return pool.quantile(q) if pool else nearest_rank(ordered, q)

    def _rates(self, until_ns: int | None = None) -> dict[str, float | None]:
        """What an objective may name beside latencies; shares as fractions, rates per second."""
        judged, seconds = self.judged, self._window_ns(until_ns) / SECOND

        def rate(count: float) -> float | None:
            return round(count / seconds, 3) if count and seconds > 0 else None

        return {
            "error_rate": 1 - self.streams[Outcome.OK] / judged if judged else None,
            "goodput": self.good / judged if judged else None,
            "output_tokens_per_s": rate(self.window_tokens),
            "events_per_s": rate(self.window_events),
            "streams_per_s": rate(sum(self.streams.values())),
        }

    def _window_ns(self, until_ns: int | None = None) -> int:
        if self.window is not None:
            window = self.window if until_ns is None else self.window.until(until_ns)
            return window.end_ns - window.begin_ns
        return (self.last_ns or 0) - (self.first_ns or 0)

    def _ordered(self, name: str) -> Sequence[float]:
        """The values of one metric in order. They stay so, and the next time only what has come since is merged in."""
        values = self.values[name]
        if self._sorted.get(name) != len(values):
            values = self.values[name] = array("d", sorted(values))
            self._sorted[name] = len(values)
        return values

    @property
    def judged(self) -> int:
        """Streams that ended by themselves: all but those that we left or that the end of the run cut."""
        ours = (Outcome.INCOMPLETE, Outcome.CANCELLED)
        return sum(n for outcome, n in self.streams.items() if outcome not in ours)

    def of(self, name: str) -> Distribution | None:
        """The distribution of one per-stream metric."""
        return of_sorted(self._ordered(name))

    def summary(self, workers: Sequence[WorkerRow] = (), until_ns: int | None = None) -> Summary:
        """Everything added so far; `workers` are what the client processes said of themselves.

        While the run goes on, `until_ns` (epoch) is now: the window has come so far.
        """
        rates = self._rates(until_ns)
        goodput = rates["goodput"]
        bound, itl_bound, late = self.of("ttft_bound"), pooled(self.itl_bound), pooled(lateness(workers))
        delay = self.of("schedule_delay")
        merged = self.merged / self.token_events if self.token_events else None
        evidence = ClientEvidence(
            ttft_bound_p99=bound.p99 if bound else None,
            itl_bound_p99=itl_bound.p99 if itl_bound else None,
            loop_late_p99=late.p99 if late else None,
            unstamped_share=self._unstamped_share,
            busiest_core=busiest(workers),
            schedule_delay_p99=delay.p99 if delay else None,
        )
        return Summary(
            streams=dict(self.streams),
            window_s=round(self._window_ns(until_ns) / SECOND, 3),
            ttft_ms=self.of("ttft"),
            ttfb_ms=self.of("ttfb"),
            headers_ms=self.of("headers"),
            ttfat_ms=self.of("ttfat"),
            itl_ms=pooled(self.itl),
            tpot_ms=self.of("tpot"),
            e2e_ms=self.of("e2e"),
            client_lag_ms=pooled(self.lag),
            connect_ms=self.of("connect"),
            ttft_any_chunk_ms=self.of("ttft_any_chunk"),
            tpot_incl_first_ms=self.of("tpot_incl_first"),
            itl_request_mean_ms=self.of("itl_request_mean"),
            output_tokens=self.output_tokens,
            token_events=self.token_events,
            tokens_source=" and ".join(sorted(self.sources)) or None,
            output_tokens_per_s=rates["output_tokens_per_s"],
            events_per_s=rates["events_per_s"],
            streams_per_s=rates["streams_per_s"],
            coalesced_share=round(self.coalesced / self.itl.count, 4) if self.itl.count else None,
            stalls=self.stalls,
            goodput=None if goodput is None else round(goodput, 4),
            slos=[str(slo) for slo in self.slos],
            stamp_source=next(iter(self.stamps)) if len(self.stamps) == 1 else ("mixed" if self.stamps else None),
            unstamped_reads=self.unstamped,
            schedule_delay_ms=self.of("schedule_delay"),
            ttft_intended_ms=self.of("ttft_intended"),
            e2e_intended_ms=self.of("e2e_intended"),
            warmup_streams=self.warmup,
            validity=validity(evidence, tokens=self.token_events > 0),
            ttft_bound_ms=bound,
            itl_bound_ms=itl_bound,
            loop_late_ms=late,
            merged_share=None if merged is None else round(merged, 4),
            busiest_core=None if evidence.busiest_core is None else round(evidence.busiest_core, 4),
            slo_results=[self.judge_slo(slo) for slo in self.slos],
            window_tokens=round(self.window_tokens),
        )

    @property
    def _unstamped_share(self) -> float | None:
        """Of all reads, or of the streams whose first token came in such a read, whichever is worse."""
        if not self.reads:
            return None
        return max(
            self.unstamped / self.reads, self.unbounded / max(self.unbounded + len(self._ordered("ttft_bound")), 1)
        )
