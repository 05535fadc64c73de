"""The vocabulary as code: one definition each (design section 4), over records alone.

`METRICS` is the table that the README and every report print; the functions below compute what it says.
"""

import math
import operator
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from harness.histogram import Histogram
from harness.record import StreamRecord
from harness.slo import LATENCIES, Slo, SloResult, judge
from harness.stream import Outcome
from harness.units import MS, SECOND, ns_to_ms
from harness.validity import LATE_READ_NS, Evidence, Validity, itl_bounds_ns, ttft_bound_ns, validity
from harness.workers import WorkerRow, busiest, lateness

STALL_FLOOR_NS: Final = 500 * MS
STALL_FACTOR: Final = 10
MAX_FAILURE_KINDS: Final = 200
NEUTRAL: Final = frozenset({Outcome.OK, Outcome.CANCELLED, Outcome.INCOMPLETE})
"""Not a failure of the endpoint's: it answered, we left, or the run ended."""
_ENDLESS: Final = frozenset({Outcome.CANCELLED, Outcome.INCOMPLETE, Outcome.HTTP_ERROR})
"""What we cut has no end of its own, and an endpoint that refuses is not fast."""
LATE_NS: Final = 10 * MS
"""An arrival that starts this long after its time is late: peers aim at less (inference-perf's schedule delay)."""


class Metric(NamedTuple):
    """A row of the metric table."""

    name: str
    definition: str
    absent: str


METRICS: Final = (
    Metric(
        "ttft",
        "arrival of the first event with generated text (content, reasoning or tool arguments) − start",
        "no token came",
    ),
    Metric("ttfb", "first response byte − start", "no answer"),
    Metric("headers", "end of the response head − start", "no answer"),
    Metric("ttfe", "first event of any kind − start", "no event"),
    Metric("ttfat", "first non-reasoning text − start", "no answer text"),
    Metric("ttst", "second token event − first", "fewer than 2 token events"),
    Metric(
        "itl",
        "gaps between successive token events, pooled over streams; 0 inside one read, counted as coalesced",
        "fewer than 2 token events",
    ),
    Metric(
        "tpot",
        "per stream: (last token − first token) / (output tokens − 1); excludes TTFT",
        "fewer than 2 tokens",
    ),
    Metric(
        "e2e", "end of the stream (end marker, else last byte) − start", "no answer, a refusal, or cut by the client"
    ),
    Metric("schedule_delay", "actual − intended start of a stream of an open loop", "closed loop"),
    Metric(
        "ttft_intended",
        "ttft from the intended start: what a user who came on time waited (coordinated omission)",
        "closed loop, or no token came",
    ),
    Metric("e2e_intended", "e2e from the intended start", "closed loop, or no e2e"),
    Metric(
        "client_lag",
        "user-space read − kernel arrival, per read: the error this client would have added",
        "no kernel stamps",
    ),
    Metric(
        "ttft_bound",
        "per stream: how much later than the truth this client may have put its ttft (late send, merged reads)",
        "no token came",
    ),
    Metric(
        "itl_bound",
        "per gap: how much later than the truth this client may have put its token; 0 where it came in a read alone",
        "fewer than 2 token events",
    ),
    Metric(
        "output_tokens_per_s",
        "output tokens that came in the measured window (warm-up and drain excluded), of whichever stream / its length",
        "no token came",
    ),
    Metric(
        "goodput",
        "share of streams that are ok and meet every SLO; failed ones count, streams cut by the end of the run do not",
        "no stream ended",
    ),
    Metric(
        "stall",
        "a gap between token events above max(10 × the stream's median gap, 500 ms)",
        "fewer than 2 token events",
    ),
    Metric(
        "ttft_any_chunk",
        "first chunk of any content, role included − start (vLLM bench's TTFT)",
        "no chunk came",
    ),
    Metric("tpot_incl_first", "e2e / output tokens (guidellm's TPOT)", "no token came"),
    Metric(
        "itl_request_mean",
        "per stream: mean gap between token events (aiperf's and guidellm's ITL)",
        "fewer than 2 token events",
    ),
)


class Distribution(msgspec.Struct, frozen=True):
    """Milliseconds. Percentiles are nearest-rank: a value that was measured, never an average of two."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    count: int


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


def distribution(values_ns: Iterable[int | float]) -> Distribution | None:
    """Exact percentiles of durations in ns, as ms; None without data."""
    return _of_sorted(sorted(values_ns))


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """The quantile `q` of values in order, of which there must be one: a value of theirs, never an average of two."""
    # 0.999 * 1000 is a little more than 999 in binary, and must not become the next rank.
    return ordered[max(math.ceil(round(q * len(ordered), 6)), 1) - 1]


def _of_sorted(ordered: Sequence[int | float]) -> Distribution | None:
    if not ordered:
        return None

    def rank(q: float) -> float:
        return ns_to_ms(nearest_rank(ordered, q))

    return Distribution(
        ns_to_ms(sum(ordered) / len(ordered)),
        rank(0.5),
        rank(0.9),
        rank(0.95),
        rank(0.99),
        ns_to_ms(ordered[-1]),
        len(ordered),
    )


def pooled(histogram: Histogram) -> Distribution | None:
    """The same from a histogram, within its relative error; mean, max and count are exact."""
    if not histogram.count:
        return None
    p50, p90, p95, p99 = (ns_to_ms(histogram.quantile(q) or 0) for q in (0.5, 0.9, 0.95, 0.99))
    maximum = ns_to_ms(histogram.maximum or 0)
    return Distribution(ns_to_ms(histogram.total / histogram.count), p50, p90, p95, p99, maximum, histogram.count)


def ttft_ns(record: StreamRecord) -> int | None:
    """First token event − start."""
    return record.reads.at_ns[record.token_reads[0]] if record.token_reads else None


def schedule_delay_ns(record: StreamRecord) -> int | None:
    """Actual − intended start; None in a closed loop."""
    return None if record.intended_ns is None else record.start_ns - record.intended_ns


def gaps_ns(record: StreamRecord) -> list[int]:
    """Gaps between successive token events."""
    return _gaps(record.token_ns)


def _gaps(times: list[int]) -> list[int]:
    return list(map(operator.sub, times[1:], times))


def tpot_ns(record: StreamRecord) -> float | None:
    """(last token − first token) / (output tokens − 1)."""
    tokens, at = record.token_reads, record.reads.at_ns
    if len(tokens) < 2 or record.output_tokens is None or record.output_tokens < 2:
        return None
    return (at[tokens[-1]] - at[tokens[0]]) / (record.output_tokens - 1)


def stalls_ns(record: StreamRecord) -> list[int]:
    """The gaps of this stream that count as stalls."""
    return _stalls(gaps_ns(record))


def _stalls(gaps: list[int]) -> list[int]:
    # Most streams have no gap as long as the floor, and a median costs more than looking.
    if not gaps or max(gaps) <= STALL_FLOOR_NS:
        return []
    limit = max(STALL_FACTOR * median(gaps), STALL_FLOOR_NS)
    return [gap for gap in gaps if gap > limit]


def coalesced(record: StreamRecord) -> int:
    """Token events that arrived in the same read as the one before: their gap says nothing about the server."""
    return len(record.token_reads) - len(set(record.token_reads))


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
        gaps = _gaps(times)
        timing = Timing(times, gaps, _stalls(gaps))
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

    def judge(self, slo: Slo) -> SloResult:
        """An objective over the whole run. Without a statistic, the slowest stream decides."""
        return judge(slo, self._measure(slo))

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
        return _of_sorted(self._ordered(name))

    def summary(self, workers: Sequence[WorkerRow] = (), until_ns: int | None = None) -> Summary:
        """Everything added so far; `workers` are what the client processes said of themselves.

        While the run goes on, `until_ns` (epoch) is now: the window has come so far.
        """
        rates = self._rates(until_ns)
        goodput = rates["goodput"]
        bound, itl_bound, late = self.of("ttft_bound"), pooled(self.itl_bound), pooled(lateness(workers))
        delay = self.of("schedule_delay")
        merged = self.merged / self.token_events if self.token_events else None
        evidence = Evidence(
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
            slo_results=[self.judge(slo) for slo in self.slos],
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


def per_stream(record: StreamRecord, gaps: list[int] | None = None) -> dict[str, float | None]:
    """Every per-stream metric in ns; `gaps` are those of `gaps_ns`, where they are known already."""
    gaps = gaps_ns(record) if gaps is None else gaps
    end_ns = None if record.outcome in _ENDLESS else record.end_ns
    first_ns, delay_ns = ttft_ns(record), schedule_delay_ns(record)
    return {
        "ttft": first_ns,
        "ttfb": record.first_byte_ns,
        "headers": record.headers_ns,
        "ttfe": record.first_event_ns,
        "ttfat": record.first_answer_ns,
        "ttst": gaps[0] if gaps else None,
        "tpot": tpot_ns(record),
        "e2e": end_ns,
        "connect": record.connect_ns,
        "ttft_any_chunk": record.first_chunk_ns,
        "tpot_incl_first": end_ns / record.output_tokens if end_ns and record.output_tokens else None,
        "itl_request_mean": sum(gaps) / len(gaps) if gaps else None,
        "itl": max(gaps) if gaps else None,
        "schedule_delay": delay_ns,
        "ttft_intended": None if first_ns is None or delay_ns is None else first_ns + delay_ns,
        "e2e_intended": None if end_ns is None or delay_ns is None else end_ns + delay_ns,
    }
