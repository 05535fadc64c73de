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
from streamgauge.metrics.distributions import (
    AdjustedDistribution,
    Distribution,
    adjusted,
    of_pool,
    of_waits,
    pooled,
)
from streamgauge.metrics.facts import LATE_NS, NEUTRAL, RunFacts, StreamFacts, coalesced, rate, schedule_delay_ns
from streamgauge.metrics.group import StreamGroup
from streamgauge.metrics.intervals import Interval
from streamgauge.metrics.lengths import AnswerLengths, Lengths
from streamgauge.metrics.metric import Adjusted, Latency, OfRun, PerStream, Unit
from streamgauge.metrics.outages import Outages
from streamgauge.metrics.pool import Pool
from streamgauge.metrics.process_stats import WorkerRow, busiest
from streamgauge.metrics.sessions import Sessions
from streamgauge.metrics.slo import (
    NO_DATA,
    NO_SESSION,
    NOT_IN_CLASS,
    Fate,
    Measured,
    Sample,
    SloResult,
    allowed_misses,
    counted,
    fate_of,
    is_per_stream,
    judge_slo,
    parse_slo,
    scopes_of,
)
from streamgauge.metrics.steady_state import UNSTEADY, Flow, InFlight, Steadiness, SteadyState, steady_state
from streamgauge.metrics.stream_class import Class
from streamgauge.metrics.summary_fields import MetricFields
from streamgauge.metrics.survival import Share, interval_of_share
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
from streamgauge.units import SECOND, ns_to_ms, plural

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
        self.everyone = StreamGroup(slo for slo in self.slos if not slo.where)
        self._classes = _classes(self.slos)
        self.window = window
        self.window_tokens = self.window_events = 0.0
        self.intervals = Intervals(spool)
        self.outages = Outages()
        self.merged = self.unbounded = 0
        self.output_tokens = self.token_events = self.coalesced = self.stalls = self.unstamped = 0
        self.reads = 0
        self.sources: set[str] = set()
        self.prompt_tokens = self.cached_tokens = 0  # of streams that say how many came from a cache
        self.lengths = AnswerLengths()
        self.sessions: Sessions | None = None  # known when the run has ended
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
        self.everyone.add(stream, fate, known_ns)
        for where, group in self._classes.items():
            if all(bound.holds(record) for bound in where):
                group.add(stream, fate, known_ns)

    def group(self, slo: Condition) -> StreamGroup:
        """The streams that an objective is about."""
        return self._classes[slo.where] if slo.where else self.everyone

    def judge_slo(
        self, slo: Condition, client: Validity | None = None, steadiness: SteadyState | None = None
    ) -> SloResult:
        """One of the objectives that were given at the begin, over the whole run or its class of streams. Without a
        statistic, the slowest stream decides.

        `client` says whether this client could have distorted the figures, `steadiness` whether they would stay so.
        """
        metric = BY_NAME[slo.metric]
        client = None if client is None else client.about(scopes_of([slo], self.slos))
        group = self.group(slo)
        absent = NO_DATA if group.count or not slo.where else NOT_IN_CLASS
        if counted(slo) == "session":
            measured, absent = self._measured_of_sessions(slo), NO_SESSION
        elif isinstance(metric, Latency) or (isinstance(metric, OfRun) and metric.of_streams):
            measured = group.measured(slo)
        else:
            measured = self._measured_of_run(slo, client)
        if measured is not None and self.reading_doubt is not None and not metric.of_wire:
            # However the answers are read, what said that it failed has failed.
            certain = slo.metric == "error_rate" and group.surely_failed
            measured = measured._replace(low=measured.low if certain else 0.0, high=inf, because=self.reading_doubt)
        doubt = distorted(client)
        if doubt is None and steadiness is not None and steadiness.growing and metric.unit is not Unit.PER_SECOND:
            doubt = str(steadiness)
        return judge_slo(slo, measured, doubt, absent)

    def _measured_of_sessions(self, slo: Condition) -> Measured | None:
        """The share of sessions that failed, and its interval; None without a session that ended."""
        found = self.sessions
        if found is None or not found.ended:
            return None
        failed = found.failed / found.ended
        if allowed_misses(slo) is None:
            return Measured(failed, failed, slo.show_measured(failed))
        interval = interval_of_share(Share(failed, failed), found.ended, 0, found.dependence)
        sample = Sample(found.ended, interval, found.ended / found.dependence, failed)
        return Measured(sample.low, sample.high, slo.show_measured(failed), sample.reason(slo), sample)

    def _measured_of_run(self, slo: Condition, client: Validity | None) -> Measured | None:
        """A figure of the whole run and its interval; None without data."""
        metric = BY_NAME[slo.metric]
        assert isinstance(metric, OfRun)
        value = metric.value(self._facts())
        if value is None:
            return None
        if metric.unit is Unit.PER_SECOND and client is not None and client.verdict in ("SUSPECT", "INVALID"):
            return Measured(
                value, inf, slo.show_measured(value), f"this client may have been the limit: {client.verdict}"
            )
        return Measured(value, value, slo.show_measured(value))

    def _facts(self, workers: Sequence[WorkerRow] = ()) -> RunFacts:
        return RunFacts(
            seconds=self._window_ns() / SECOND,
            streams=sum(self.everyone.streams.values()),
            judged=self.judged,
            ok=self.everyone.streams[Outcome.OK],
            goodput=None if (found := self.everyone.goodput) is None else found.low,
            good=len(self.everyone.fates[Fate.GOOD]) if self._stream_slos else None,
            window_tokens=self.window_tokens,
            window_events=self.window_events,
            token_events=self.token_events,
            gaps=self.pools["itl"].count,
            coalesced=self.coalesced,
            merged=self.merged,
            stalls=self.stalls,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            sessions_ended=0 if self.sessions is None else self.sessions.ended,
            sessions_failed=0 if self.sessions is None else self.sessions.failed,
            busiest_core=busiest(workers),
        )

    def _window_ns(self, until_ns: int | None = None) -> int:
        if self.window is not None:
            window = self.window if until_ns is None else self.window.until(until_ns)
            return window.end_ns - window.begin_ns
        return (self.last_ns or 0) - (self.first_ns or 0)

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
    def judged(self) -> int:
        """Streams that ended by themselves: neither left by their user nor cut by the end of the run."""
        return self.everyone.judged

    @property
    def pools(self) -> dict[str, Pool]:
        """The pooled metrics by name."""
        return self.everyone.pools

    def of(self, name: str) -> Distribution | None:
        """The distribution of one per-stream metric."""
        return of_waits(self.everyone.waits(name), lambda q: self.everyone.dependence.of(name, q))

    def so_far(self, now_ns: int) -> SoFar:
        """The figures of a run that goes on; `now_ns` (epoch) ends its measured window."""
        length_ns = self._window_ns(now_ns)
        return SoFar(
            streams=dict(self.everyone.streams),
            window_s=round(length_ns / SECOND, 3),
            output_tokens_per_s=rate(self.window_tokens, length_ns / SECOND),
            ttft_ms=of_waits(self.everyone.waits("ttft")),
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
        goodput, cut = self.everyone.goodput, self.everyone.cuts["ttft"].ordered
        in_flight, steadiness = self._flow()
        return Summary(
            streams=dict(self.everyone.streams),
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
                for name, found in self.everyone.share_intervals.items()
            },
            window_tokens=round(self.window_tokens),
            undecided_streams=self.everyone.undecided,
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
        found = {name: round(self.everyone.dependence.of(name, 0.95), 2) for name in _SHOWN_DEPENDENCE}
        return {name: tau for name, tau in found.items() if tau > 1}

    def _flow(self) -> tuple[InFlight | None, SteadyState | None]:
        """The streams in flight in the measured window, and whether it had a steady state; None without a stream."""
        window = self.window or Window(self.first_ns or 0, self.last_ns or 0)
        if not self.everyone.streams:
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
        return make(self.everyone.waits(metric.name), lambda q: self.everyone.dependence.of(metric.name, q))

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
            self.unstamped / self.reads,
            self.unbounded / max(self.unbounded + len(self.everyone.values["ttft_bound"]), 1),
        )


def _classes(slos: Iterable[Condition]) -> dict[Class, StreamGroup]:
    """One group for each class of streams that an objective names."""
    found: defaultdict[Class, list[Condition]] = defaultdict(list)
    for slo in slos:
        if slo.where:
            found[slo.where].append(slo)
    return {where: StreamGroup.of_class(members) for where, members in found.items()}


def _has_remark(record: StreamRecord) -> bool:
    return record.outcome is Outcome.OK and bool(record.detail)


def _fields(latencies: Latencies, facts: RunFacts) -> dict[str, Any]:
    """The fields of MetricFields by name; shares with four decimals."""
    fields: dict[str, Any] = {BY_NAME[name].field: found for name, found in latencies.items()}
    for metric in OF_RUN:
        value = metric.value(facts)
        fields[metric.field] = round(value, 4) if value is not None and metric.unit is Unit.SHARE else value
    return fields
