"""A run in figures: `Totals` takes in records one by one, and its summary is what run.json and the reports show."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from io import RawIOBase
from math import inf
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.errors import UsageError
from streamgauge.metrics.concurrency import Intervals
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.definitions import BY_NAME, OF_PROCESSES, OF_RUN, PER_STREAM, POOLED
from streamgauge.metrics.dependence import Dependence, Wait
from streamgauge.metrics.distributions import (
    AdjustedDistribution,
    Distribution,
    adjusted,
    of_pool,
    of_waits,
    pooled,
    quantile_of,
    statistic,
)
from streamgauge.metrics.facts import CUT, LATE_NS, NEUTRAL, RunFacts, StreamFacts, coalesced, rate, schedule_delay_ns
from streamgauge.metrics.histogram import RELATIVE_ERROR, Packed
from streamgauge.metrics.intervals import Interval
from streamgauge.metrics.kept import Kept
from streamgauge.metrics.lengths import AnswerLengths, Lengths
from streamgauge.metrics.metric import Adjusted, Latency, OfRun, PerStream, Pooled, Unit
from streamgauge.metrics.outages import Outages
from streamgauge.metrics.pool import Pool
from streamgauge.metrics.process_stats import WorkerRow, busiest
from streamgauge.metrics.slo import (
    FAR,
    Fate,
    Measured,
    Sample,
    SloResult,
    allowed_misses,
    fate_of,
    is_per_stream,
    judge_slo,
    needed_streams,
    parse_slo,
    scopes_of,
)
from streamgauge.metrics.steady_state import UNSTEADY, Flow, InFlight, Steadiness, SteadyState, steady_state
from streamgauge.metrics.summary_fields import MetricFields
from streamgauge.metrics.survival import Share, Waits, interval_of_share, share_of_good
from streamgauge.metrics.survival import interval as survival_interval
from streamgauge.metrics.validity import (
    LATE_READ_NS,
    ClientEvidence,
    Validity,
    distorted,
    disturbed,
    misread,
    shaken,
    validity,
)
from streamgauge.protocol.numbers import Ns
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND, ns_to_ms, plural

MAX_FAILURE_KINDS: Final = 200
MOST_STAYS: Final = 50_000  # streams whose times a verdict on the steady state reads; of a longer run every n-th
_SHOWN_DEPENDENCE: Final = ("ttft", "tpot", "e2e")
_ASKED, _READ = "asked for", "measured to the end"
_VALUES: Final = [(metric.name, metric.value, metric.cut) for metric in PER_STREAM]


class Summary(MetricFields, frozen=True, kw_only=True):
    """`summary` of run.json: every metric, and the counts beside them. What has no data is null.

    `undecided_streams` were cut before they could meet or miss the objectives. Where they leave goodput open, `goodput`
    counts none of them as good, and `goodput_at_most` all of them. `longest_cut_wait_ms` is the longest time that a
    stream without a token had waited when it was cut. `doubted_usages` streams came with a token count that is not
    believed (see protocol/numbers.py); `usage_doubt` says why, of the first of them. `share_intervals` has for a share
    of streams where the true share of the endpoint lies with a confidence of 95 %. `dependence` says for a p95 how many
    streams are worth an independent one, where that is more than one (metrics/dependence.py): the intervals allow for
    it.
    """

    streams: dict[str, int]
    window_s: float
    output_tokens: int
    token_events: int
    tokens_source: str | None
    slos: list[str]
    stamp_source: str | None
    unstamped_reads: int
    validity: Validity
    warmup_streams: int = 0
    slo_results: list[SloResult] = msgspec.field(default_factory=list)
    window_tokens: int | None = None
    undecided_streams: int = 0
    goodput_at_most: float | None = None
    longest_cut_wait_ms: float | None = None
    doubted_usages: int = 0
    usage_doubt: str | None = None
    share_intervals: dict[str, Interval] = msgspec.field(default_factory=dict)
    dependence: dict[str, float] = msgspec.field(default_factory=dict)
    lengths: Lengths | None = None
    in_flight: InFlight | None = None
    steady_state: SteadyState | None = None

    @property
    def deciding_validity(self) -> Validity:
        """The validity of the figures that decide: those that the objectives use, or all where there is no objective
        that can be read.
        """
        try:
            slos = [parse_slo(text) for text in self.slos]
        except UsageError:
            slos = []
        return self.validity.about(scopes_of(slos, slos)) if slos else self.validity

    @property
    def caveats(self) -> list[str]:
        """The warnings about a load without a steady state, counts that do not agree, and token counts."""
        found = []
        if self.steady_state is not None and self.steady_state.verdict in UNSTEADY:
            found.append(f"The figures are not those of a steady state. {self.steady_state.sentence}")
        found += [self.lengths.caveat] if self.lengths is not None and self.lengths.caveat is not None else []
        found += [self.in_flight.caveat] if self.in_flight is not None and self.in_flight.caveat is not None else []
        return found + ([self.usage_caveat] if self.usage_caveat is not None else [])

    @property
    def usage_caveat(self) -> str | None:
        """The warning about token counts of the endpoint that are not believed; None without one."""
        if self.usage_doubt is None:
            return None
        return (
            f"The endpoint's token count is not believed in {plural(self.doubted_usages, 'stream')}: "
            f"{self.usage_doubt}. Token events are counted there in place of output tokens."
        )


Latencies = dict[str, Distribution | AdjustedDistribution | None]


class SoFar(NamedTuple):
    """What is shown of a run that goes on: cheap, because it is made twice a second."""

    streams: dict[str, int]
    window_s: float
    output_tokens_per_s: float | None
    ttft_ms: Distribution | None
    itl_ms: Distribution | None


class Window(msgspec.Struct, frozen=True):
    """The measured part of a run, epoch ns: from the end of the warm-up to the last moment at which streams start."""

    begin_ns: Ns
    end_ns: Ns

    def until(self, at_ns: int) -> "Window":
        """The window of a run that was cut short at `at_ns`."""
        return Window(self.begin_ns, max(min(self.end_ns, at_ns), self.begin_ns))

    def share(self, record: StreamRecord, times: Sequence[int]) -> float:
        """The share of a stream's tokens that came in the window; `times` are their sorted arrivals since its start."""
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
    """Accumulates records one by one, in memory that grows neither with the length of streams nor with their number.

    Percentiles are exact up to 20,000 streams, and within 0.025 % beyond (metrics/kept.py). Without a `window`, the
    rates are those of the measured streams from the first start to the last end.
    """

    def __init__(
        self,
        slos: Iterable[Condition] = (),
        window: Window | None = None,
        *,
        reading_doubt: str | None = None,
        spool: RawIOBase | None = None,
        changes: str | None = None,
    ) -> None:
        """`reading_doubt` says why the answers may have been read wrongly: then no figure of tokens is certain.

        `changes` says how the plan changes the load during the run: then a steady state is not expected.
        `spool` is a file for what would grow with the number of streams (metrics/rows.py).
        """
        self.slos = list(slos)
        self.reading_doubt = reading_doubt
        self.changes = changes
        self._stream_slos = [slo for slo in self.slos if is_per_stream(slo)]
        self.window = window
        self.window_tokens = self.window_events = 0.0
        self.streams: Counter[str] = Counter()
        self.pools = {metric.name: Pool() for metric in POOLED}
        self.values: defaultdict[str, Kept] = defaultdict(Kept)
        self.cuts: defaultdict[str, Kept] = defaultdict(Kept)  # how long streams waited for a value that never came
        self.fates = {fate: Kept() for fate in Fate}  # when each stream met or missed its objectives, or was cut
        self.intervals = Intervals(spool)
        self.dependence = Dependence()
        self.outages = Outages()
        self.merged = self.unbounded = 0
        self.output_tokens = self.token_events = self.coalesced = self.stalls = self.unstamped = 0
        self.reads = 0
        self.sources: set[str] = set()
        self.prompt_tokens = self.cached_tokens = 0  # of streams that say how many came from a cache
        self.lengths = AnswerLengths()
        self.doubted_usages = 0
        self.usage_doubt: str | None = None  # the first of them
        self.stamps: set[str] = set()
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.warmup = self.late = self.started = 0
        self.first_intended_ns: int | None = None
        self.failures: Counter[Failure] = Counter()  # of the warm-up too: a failure there is worth knowing
        self.remarks: Counter[Failure] = Counter()  # what is wrong with streams that are ok all the same

    def add(self, record: StreamRecord) -> StreamFacts:
        """Count one stream. Latencies come from every stream that got that far; `streams` counts each outcome.

        A stream of the warm-up counts only as started, as late or in time, and in `failures`.
        """
        self.started += 1
        self.late += (schedule_delay_ns(record) or 0) > LATE_NS
        if record.intended_ns is not None:
            self.first_intended_ns = min(record.intended_ns, self.first_intended_ns or record.intended_ns)
        if record.outcome not in NEUTRAL or record.outcome is Outcome.CLIENT_LIMIT or _has_remark(record):
            counted = self.remarks if record.outcome is Outcome.OK else self.failures
            failure = Failure(record.outcome.value, record.status, record.detail or "")
            # An endpoint that invents texts must not push out this client's limits: they make the run INVALID.
            if failure in counted or len(counted) < MAX_FAILURE_KINDS or record.outcome is Outcome.CLIENT_LIMIT:
                counted[failure] += 1
        self.intervals.add(record)
        self.outages.add(record)
        stream = StreamFacts(record)
        share = float(not record.warmup) if self.window is None else self.window.share(record, stream.token_ns)
        self.window_tokens += share * (record.output_tokens or 0)
        self.window_events += share * record.events
        if record.warmup:
            self.warmup += 1
        else:
            self._add_measured(stream)
        return stream

    def _add_measured(self, stream: StreamFacts) -> None:
        record = stream.record
        self.streams[record.outcome.value] += 1
        closed = record.start_ns + (record.closed_ns or record.end_ns or 0)
        self.first_ns = record.start_ns if self.first_ns is None else min(self.first_ns, record.start_ns)
        self.last_ns = closed if self.last_ns is None else max(self.last_ns, closed)
        self.reads += len(record.reads.at_ns)
        self.unstamped += record.unstamped_reads
        if record.stamp_source:
            self.stamps.add(record.stamp_source)
        if record.tokens_source:
            self.sources.add(record.tokens_source)
        if record.usage_doubt is not None:
            self.doubted_usages += 1
            self.usage_doubt = self.usage_doubt or record.usage_doubt
        if record.usage_cached_tokens is not None and record.usage_prompt_tokens is not None:
            self.prompt_tokens += record.usage_prompt_tokens
            self.cached_tokens += record.usage_cached_tokens
        self.lengths.add(record)
        self.token_events += len(stream.token_ns)
        self.output_tokens += record.output_tokens or 0
        self.coalesced += coalesced(record)
        self.merged += sum(bound > LATE_READ_NS for bound in stream.itl_bounds_ns)
        self.unbounded += bool(stream.token_ns) and stream.ttft_bound_ns is None
        self.stalls += len(stream.stalls_ns)
        fate, known_ns = fate_of(stream, self._stream_slos)
        self.fates[fate].add(known_ns)
        self.dependence.add(_wait(stream, fate))
        for metric in POOLED:
            metric.add_to(self.pools[metric.name], stream)
        kept = self.values
        is_cut = stream.cut_ns is not None
        for name, value_of, cut_of in _VALUES:
            value = value_of(stream)
            if value is not None:
                kept[name].add(value)
            elif is_cut and cut_of is not None and (waited_ns := cut_of(stream)) is not None:
                self.cuts[name].add(waited_ns)

    def judge_slo(
        self, slo: Condition, client: Validity | None = None, steadiness: SteadyState | None = None
    ) -> SloResult:
        """An objective over the whole run. Without a statistic, the slowest stream decides.

        `client` says whether this client could have distorted the figures, `steadiness` whether they would stay so.
        """
        metric = BY_NAME[slo.metric]
        client = None if client is None else client.about(scopes_of([slo], self.slos))
        measured = self._measured(slo) if isinstance(metric, Latency) else self._measured_of_run(slo, client)
        if measured is not None and self.reading_doubt is not None and not metric.of_wire:
            measured = measured._replace(low=0.0, high=inf, because=self.reading_doubt)
        doubt = distorted(client)
        if doubt is None and steadiness is not None and steadiness.growing and metric.unit is not Unit.PER_SECOND:
            doubt = str(steadiness)
        return judge_slo(slo, measured, doubt)

    def _measured(self, slo: Condition) -> Measured | None:
        """The figure of a latency and its interval, in ns; None without data."""
        metric, name = BY_NAME[slo.metric], slo.statistic or "max"
        assert isinstance(metric, Latency)
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
        return _sample_of_waits(slo, values, q, self.dependence.of(slo.metric, q))

    def _error(self, metric: Latency, name: str) -> float:
        """The most by which this client may distort a statistic of a latency (ns), as far as it knows."""
        tail = name == "max" or (name.startswith("p") and float(name[1:]) > 99)
        bounds = self.pools["itl_bound"] if metric.of_gaps else self.waits("ttft_bound")
        found = statistic(bounds, "max" if tail else "p99")
        return 0.0 if found is None else found.value

    def _rounding(self, metric: Latency, name: str) -> float:
        """The most by which a statistic may differ from that of the true values, relative; a maximum is exact."""
        if isinstance(metric, Pooled):
            return 0.0 if name in ("mean", "max") else RELATIVE_ERROR
        return 0.0 if name == "max" else self.values[metric.name].rounding

    def _measured_of_run(self, slo: Condition, client: Validity | None) -> Measured | None:
        """A figure of the whole run and its interval; None without data."""
        metric = BY_NAME[slo.metric]
        assert isinstance(metric, OfRun)
        value = metric.value(self._facts())
        if value is None:
            return None
        if metric.name in self.share_intervals:
            return self._measured_share(slo, value)
        if metric.unit is Unit.PER_SECOND and client is not None and client.verdict in ("SUSPECT", "INVALID"):
            return Measured(
                value, inf, slo.show_measured(value), f"this client may have been the limit: {client.verdict}"
            )
        return Measured(value, value, slo.show_measured(value))

    def _measured_share(self, slo: Condition, value: float) -> Measured:
        """A share of streams and its interval. An objective for every stream is a fact of the run."""
        found = self.goodput if slo.metric == "goodput" else Share(value, value)
        assert found is not None
        shown = slo.show_measured(value)
        if found.high > found.low:
            shown = f"{slo.show_measured(found.low)} to {slo.show_measured(found.high)}"
        low, high, sample = found.low, found.high, None
        if allowed_misses(slo) is not None:
            streams = self.decided if slo.metric == "goodput" else self.judged
            beyond = 1 - value if slo.metric == "goodput" else value
            worth = streams / self.dependence.of(slo.metric)
            sample = Sample(streams, self.share_intervals[slo.metric], worth, beyond)
            low, high = sample.low, sample.high
        because = None if sample is None else sample.reason(slo)
        if slo.holds(found.low) != slo.holds(found.high):
            because = f"{plural(self.undecided, 'stream')} had neither met nor missed it when cut"
        return Measured(low, high, shown, because, sample)

    @property
    def share_intervals(self) -> dict[str, Interval]:
        """Where the true shares of streams lie, by the name of the metric."""
        found = {}
        if self.judged:
            wrong = 1 - self.streams[Outcome.OK] / self.judged
            found["error_rate"] = interval_of_share(
                Share(wrong, wrong), self.judged, 0, self.dependence.of("error_rate")
            )
        if (goodput := self.goodput) is not None:
            found["goodput"] = interval_of_share(goodput, self.decided, self.undecided, self.dependence.of("goodput"))
        return found

    def _facts(self, workers: Sequence[WorkerRow] = ()) -> RunFacts:
        return RunFacts(
            seconds=self._window_ns() / SECOND,
            streams=sum(self.streams.values()),
            judged=self.judged,
            ok=self.streams[Outcome.OK],
            goodput=None if (found := self.goodput) is None else found.low,
            window_tokens=self.window_tokens,
            window_events=self.window_events,
            token_events=self.token_events,
            gaps=self.pools["itl"].count,
            coalesced=self.coalesced,
            merged=self.merged,
            stalls=self.stalls,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            busiest_core=busiest(workers),
        )

    def _window_ns(self, until_ns: int | None = None) -> int:
        if self.window is not None:
            window = self.window if until_ns is None else self.window.until(until_ns)
            return window.end_ns - window.begin_ns
        return (self.last_ns or 0) - (self.first_ns or 0)

    def waits(self, name: str) -> Waits:
        """The values of one per-stream metric, and how long streams had waited for one when they were cut."""
        return Waits(self.values[name].ordered, self.cuts[name].ordered)

    @property
    def goodput(self) -> Share | None:
        """The share of streams that are ok and meet every objective; None without any stream."""
        return share_of_good(*(self.fates[fate].ordered for fate in (Fate.GOOD, Fate.BAD, Fate.OPEN)))

    @property
    def faults(self) -> list[str]:
        """What went wrong on the side of this client, as far as the records tell: streams that it could not ask for, or
        not read to their end.
        """
        return [
            f"{plural(count, 'stream')} of the load could not be {_ASKED if failure.status is None else _READ}: "
            f"{failure.detail}"
            for failure, count in self.failures.items()
            if failure.outcome == Outcome.CLIENT_LIMIT
        ]

    @property
    def undecided(self) -> int:
        """Streams that were cut before they could meet or miss the objectives."""
        return len(self.fates[Fate.OPEN])

    @property
    def decided(self) -> int:
        """Streams that met or missed the objectives."""
        return len(self.fates[Fate.GOOD]) + len(self.fates[Fate.BAD])

    @property
    def judged(self) -> int:
        """Streams that ended by themselves: neither left by their user nor cut by the end of the run."""
        return sum(n for outcome, n in self.streams.items() if outcome not in CUT)

    def of(self, name: str) -> Distribution | None:
        """The distribution of one per-stream metric."""
        return of_waits(self.waits(name), lambda q: self.dependence.of(name, q))

    def so_far(self, now_ns: int) -> SoFar:
        """The figures of a run that goes on; `now_ns` (epoch) ends its measured window."""
        length_ns = self._window_ns(now_ns)
        return SoFar(
            streams=dict(self.streams),
            window_s=round(length_ns / SECOND, 3),
            output_tokens_per_s=rate(self.window_tokens, length_ns / SECOND),
            ttft_ms=of_waits(self.waits("ttft")),
            itl_ms=of_pool(self.pools["itl"]),
        )

    def summary(self, workers: Sequence[WorkerRow] = (), faults: Sequence[str] = ()) -> Summary:
        """Everything added so far. `workers` are the rows that the client processes wrote about themselves.

        `faults` are those of the run (see RunFile).
        """
        latencies = self._latencies(workers)
        facts = self._facts(workers)
        client = validity(self._evidence(latencies, facts), tokens=self.token_events > 0)
        if self.reading_doubt is not None:
            client = misread(client, self.reading_doubt)
        client = disturbed(shaken(client, str(self.outages)), faults)
        goodput, cut = self.goodput, self.cuts["ttft"].ordered
        in_flight, steadiness = self._flow()
        return Summary(
            streams=dict(self.streams),
            window_s=round(self._window_ns() / SECOND, 3),
            output_tokens=self.output_tokens,
            token_events=self.token_events,
            tokens_source=" and ".join(sorted(self.sources)) or None,
            slos=[str(slo) for slo in self.slos],
            stamp_source=next(iter(self.stamps)) if len(self.stamps) == 1 else ("mixed" if self.stamps else None),
            unstamped_reads=self.unstamped,
            validity=client,
            warmup_streams=self.warmup,
            slo_results=[self.judge_slo(slo, client, steadiness) for slo in self.slos],
            share_intervals={
                name: Interval(*(None if end is None else round(end, 4) for end in found))
                for name, found in self.share_intervals.items()
            },
            window_tokens=round(self.window_tokens),
            undecided_streams=self.undecided,
            goodput_at_most=None if goodput is None else round(goodput.high, 4),
            longest_cut_wait_ms=ns_to_ms(cut[-1]) if cut else None,
            doubted_usages=self.doubted_usages,
            usage_doubt=self.usage_doubt,
            dependence=self._dependences(),
            lengths=self.lengths.lengths(),
            in_flight=in_flight,
            steady_state=steadiness,
            **_fields(latencies, facts),
        )

    def _dependences(self) -> dict[str, float]:
        found = {name: round(self.dependence.of(name, 0.95), 2) for name in _SHOWN_DEPENDENCE}
        return {name: tau for name, tau in found.items() if tau > 1}

    def _flow(self) -> tuple[InFlight | None, SteadyState | None]:
        """The streams in flight in the measured window, and whether it had a steady state; None without a stream."""
        window = self.window or Window(self.first_ns or 0, self.last_ns or 0)
        if not self.streams:
            return None, None
        flow, stride = Flow(window.begin_ns, window.end_ns), len(self.intervals) // MOST_STAYS + 1
        stays = []
        for number, stay in enumerate(self.intervals.stays()):
            flow.add(stay)
            if number % stride == 0:
                stays.append(stay)
        if self.changes is not None:
            return flow.in_flight(), SteadyState(verdict=Steadiness.NOT_JUDGED, reasons=[self.changes])
        return flow.in_flight(), steady_state(stays, window.begin_ns, window.end_ns, flow.levels)

    def _latencies(self, workers: Sequence[WorkerRow]) -> Latencies:
        """Every distribution by the name of its metric."""
        return {
            **{metric.name: self._of_waits(metric) for metric in PER_STREAM},
            **{metric.name: of_pool(self.pools[metric.name], intervals=True) for metric in POOLED},
            **{metric.name: pooled(metric.pool(workers)) for metric in OF_PROCESSES},
        }

    def _of_waits(self, metric: PerStream) -> Distribution | AdjustedDistribution | None:
        make = adjusted if isinstance(metric, Adjusted) else of_waits
        return make(self.waits(metric.name), lambda q: self.dependence.of(metric.name, q))

    def _evidence(self, latencies: Latencies, facts: RunFacts) -> ClientEvidence:
        def p99(name: str) -> float | None:
            found = latencies[name]
            return found.p99 if found else None

        return ClientEvidence(
            ttft_bound_p99=p99("ttft_bound"),
            itl_bound_p99=p99("itl_bound"),
            loop_late_p99=p99("loop_late"),
            unstamped_share=self._unstamped_share,
            busiest_core=facts.busiest_core,
            schedule_delay_p99=p99("schedule_delay"),
        )

    @property
    def _unstamped_share(self) -> float | None:
        """Of all reads, or of the streams whose first token came in such a read, whichever is worse."""
        if not self.reads:
            return None
        return max(
            self.unstamped / self.reads, self.unbounded / max(self.unbounded + len(self.values["ttft_bound"]), 1)
        )


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


def _has_remark(record: StreamRecord) -> bool:
    return record.outcome is Outcome.OK and bool(record.detail)


def _fields(latencies: Latencies, facts: RunFacts) -> dict[str, Any]:
    """The fields of MetricFields by name; shares with four decimals."""
    fields: dict[str, Any] = {BY_NAME[name].field: found for name, found in latencies.items()}
    for metric in OF_RUN:
        value = metric.value(facts)
        fields[metric.field] = round(value, 4) if value is not None and metric.unit is Unit.SHARE else value
    return fields
