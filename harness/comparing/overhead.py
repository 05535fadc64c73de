"""`streamgauge.overhead`: what a hop costs in TTFT, ITL and to the end of the stream, from pairs of single streams."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from secrets import token_hex
from statistics import median
from typing import Final, NamedTuple

import msgspec

from streamgauge.comparing.paired import LEAST_PAIRS, Cost, cost_of, order_matters, schedule
from streamgauge.comparing.report import Range
from streamgauge.endpoint.client import StreamClient, not_a_stream, settle
from streamgauge.endpoint.signalr import refuse_hub
from streamgauge.endpoint.stream_end import StreamEnd, learn_end
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target, at_url, at_vendor_path
from streamgauge.errors import CannotMeasure, ExitCode, OutOfTime, UsageError
from streamgauge.leaks import brief
from streamgauge.metrics.condition import Condition, Words, take_condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.distributions import nearest_rank
from streamgauge.metrics.facts import StreamFacts, mean
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.protocol.record import record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.transport.memory import MemoryBudget
from streamgauge.units import MIB, MS, SECOND, parse_bounded, plural, show_ms
from streamgauge.version import __version__

PRECISION: Final = "0.5ms"
MAX_TIME: Final = "1m"
MAX_PAIRS: Final = 2_000
_WARM_UP: Final = 3
"""Streams on each path before the first pair: connections, caches and compilers become warm."""

_POOL_BYTES: Final = 16 * MIB  # an answer is in memory several times while it is judged
_MOST_LOST: Final = 5  # pairs in a row of which a stream failed
_CHECK_EVERY: Final = 4  # pairs between two looks at the interval
_LIMITED: Final = {name: BY_NAME[name] for name in ("ttft", "itl", "e2e")}
_HINT: Final = f'write for example "ttft > 5ms"; metrics: {", ".join(_LIMITED)}'

Progress = Callable[[str], None]


class LimitVerdict(StrEnum):
    """Whether a cost is within its limit, above it, or neither for certain."""

    WITHIN = "within"
    ABOVE = "above"
    UNDECIDED = "undecided"


class HopCost(msgspec.Struct, frozen=True):
    """The cost of the hop in one metric, ms: medians of both paths, and the cost with its interval.

    `floor_ms` is the error of this client: a smaller cost cannot be told from it.
    """

    metric: str
    meaning: str
    direct_ms: float
    via_ms: float
    cost_ms: Range
    floor_ms: float

    @property
    def visible(self) -> bool:
        """Whether the hop certainly costs, or saves, more than the error of this client."""
        low, high = self.cost_ms.low, self.cost_ms.high
        return low is not None and high is not None and (low > self.floor_ms or high < -self.floor_ms)


class LimitResult(msgspec.Struct, frozen=True):
    """A limit of --fail-on and its verdict."""

    limit: str
    verdict: LimitVerdict


class OverheadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `overhead --json` writes."""

    schema: int = 1
    streamgauge: str
    direct: str
    via: str
    seed: int
    pairs: int
    lost_pairs: int
    seconds: float
    precision_ms: float
    reached: bool
    stopped_by: str
    interrupted: bool = False
    costs: list[HopCost]
    limits: list[LimitResult]
    notes: list[str]

    def __repr__(self) -> str:
        first = self.costs[0]
        return f"<OverheadReport {first.metric} {first.cost_ms.point:+.2f} ms, {plural(self.pairs, 'pair')}>"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: 0 when the interval is as narrow as --precision asks and no limit is exceeded, 1 when a
        limit is exceeded, 3 when this is not decided.
        """
        verdicts = {result.verdict for result in self.limits}
        if LimitVerdict.ABOVE in verdicts:
            return ExitCode.FAILED
        if self.interrupted:
            return ExitCode.INTERRUPTED
        undecided = LimitVerdict.UNDECIDED in verdicts or (not self.limits and not self.reached)
        return ExitCode.CANNOT_MEASURE if undecided else ExitCode.OK


class Sample(NamedTuple):
    """One stream: its times in ns, the error of this client in TTFT, and whether its connection was kept."""

    ttft_ns: int
    itl_ns: int | None
    end_ns: int | None
    bound_ns: int
    tokens: int
    reused: bool


class Pair(NamedTuple):
    """A stream on each path, one right after the other."""

    direct: Sample
    via: Sample
    direct_first: bool


def parse_limit(text: str) -> Condition:
    """The limit in `text`. Raises UsageError that points at the first character that does not fit."""
    words = Words(text, "--fail-on", _HINT)
    limit = take_condition(words, _LIMITED, dict.fromkeys(_LIMITED, (">",)))
    if limit.statistic is not None:
        words.refuse("no statistic: a hop has one typical cost", back=3)
    if words.next:
        words.refuse("nothing more")
    return limit


def overhead(
    direct: str | Target,
    via: str,
    *,
    precision: str = PRECISION,
    max_time: str = MAX_TIME,
    max_pairs: int = MAX_PAIRS,
    seed: int = 1,
    limits: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> OverheadReport:
    """Measure what the path `via` costs beside `direct`, with pairs of single streams on warm connections.

    It ends when the interval of the TTFT cost is at most ± `precision`, or after `max_time` or `max_pairs`. Raises
    UsageError on input that cannot be used, and CannotMeasure when a path gives no stream.
    """
    given = as_target(direct)
    refuse_hub(given, "overhead")
    paths = (given, at_vendor_path(at_url(given, via, instead=True)))
    parsed = [parse_limit(text) for text in limits]
    precision_ns, length_ns = parse_bounded(precision, "--precision"), parse_bounded(max_time, "--max-time")
    if not precision_ns or not length_ns:
        raise UsageError("--precision and --max-time must be more than 0", "write for example 0.5ms and 1m")
    with ExitStack() as stack:
        # A client each: a kept connection to one path must not be closed for the other.
        total_s = length_ns / SECOND + 2 * given.timeout_s  # for an endpoint that never ends a stream
        memory = MemoryBudget(_POOL_BYTES, remedy="ask for shorter answers: --max-tokens")
        clients = [stack.enter_context(StreamClient.to(path, total_s=total_s, memory=memory)) for path in paths]
        warm = [_warm(client, path, progress) for client, path in zip(clients, paths, strict=True)]
        caveats = dict.fromkeys(end.caveat for _, end in warm if end.caveat)
        targets = [target for target, _ in warm]
        return _Run(clients, targets, length_ns, precision_ns, max_pairs, seed, progress, caveats).measure(parsed)


def _warm(client: StreamClient, path: Target, progress: Progress) -> tuple[Target, StreamEnd]:
    """Settle the request, the dialect and the end of a path with its first streams.

    Raises CannotMeasure without a stream, or where it is in doubt which of its events are tokens.
    """
    progress(f"warming up {path.masked_url}")
    settled = settle(client, path)
    for _ in range(_WARM_UP):
        transcript = _ask(client, settled)
        if not transcript.is_stream:
            raise not_a_stream(transcript)
        if transcript.dialect_doubt is not None:
            raise CannotMeasure(
                f"which events of {path.masked_url} are tokens is in doubt: {transcript.dialect_doubt}",
                "without that, no time to a token can be told",
            )
        settled = settled.answering_in(transcript.dialect)
    if not transcript.tokens:
        raise CannotMeasure(
            f"no token came from {path.masked_url}: {transcript.detail or _how_it_ended(transcript)}",
            "streamgauge probe shows what came",
        )
    end = learn_end(Ends(settled.end), transcript, lambda: _ask(client, settled))
    client.expect(end.ends)
    return settled, end


def _how_it_ended(transcript: Transcript) -> str:
    finish = transcript.first(Kind.FINISH)
    reason = "" if finish is None else f", finish reason {brief(str(finish.delta.value))}"
    return f"the stream ended as {transcript.outcome}{reason}"


def _ask(client: StreamClient, target: Target) -> Transcript:
    """One stream. Its prompt has a text of its own, so that no cache on the way answers it."""
    return client.run(target.request(f"{target.prompt} ({token_hex(4)})"), dialect=target.reader(), keep=False)


class _Run:
    """The pairs of one measurement."""

    def __init__(
        self,
        clients: Sequence[StreamClient],
        targets: Sequence[Target],
        length_ns: int,
        precision_ns: int,
        max_pairs: int,
        seed: int,
        progress: Progress,
        caveats: Iterable[str] = (),
    ) -> None:
        self._clients, self._targets = clients, targets
        self._length_ns, self._precision_ns, self._max_pairs = length_ns, precision_ns, max_pairs
        self._seed, self._progress = seed, progress
        self._caveats = list(caveats)
        self._pairs: list[Pair] = []
        self._lost = self._lost_in_a_row = 0
        self._failure: Transcript | None = None
        self._failed_path = ""

    def measure(self, limits: Sequence[Condition]) -> OverheadReport:
        """Run pairs until the interval is narrow enough, or time or pairs are used up."""
        begun_ns = time.monotonic_ns()
        stopped_by, interrupted = "", False
        try:
            for direct_first in schedule(random.Random(self._seed)):
                self._run_pair(direct_first=direct_first)
                passed_ns = time.monotonic_ns() - begun_ns
                if stopped_by := self._done(passed_ns):
                    break
        except OutOfTime as error:
            stopped_by = error.message
        except KeyboardInterrupt:
            stopped_by, interrupted = "interrupted", True
        if not self._pairs:
            why = "interrupted before the first pair" if self._failure is None else self._failure.detail
            raise CannotMeasure(f"no pair of streams was measured: {why}", "streamgauge probe shows one stream")
        seconds = (time.monotonic_ns() - begun_ns) / SECOND
        return self._report(limits, seconds, stopped_by, interrupted=interrupted)

    def _run_pair(self, *, direct_first: bool) -> None:
        order = (0, 1) if direct_first else (1, 0)
        samples: dict[int, Sample] = {}
        for path in order:
            transcript = _ask(self._clients[path], self._targets[path])
            sample = sample_of(transcript)
            if sample is None:
                self._failure, self._failed_path = transcript, ("direct", "via")[path]
            else:
                samples[path] = sample
        if len(samples) == 2:
            if not self._pairs:
                self._announce(samples.values())
            self._pairs.append(Pair(samples[0], samples[1], direct_first))
            self._lost_in_a_row = 0
            return
        self._lost += 1
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MOST_LOST and self._failure is not None:
            detail = self._failure.detail or self._failure.outcome.value
            raise CannotMeasure(
                f"a stream failed in {_MOST_LOST} pairs in a row, the last on the {self._failed_path} path: {detail}",
                "streamgauge probe shows one stream",
            )

    def _announce(self, pair: Iterable[Sample]) -> None:
        """Say what the measurement takes at most, as soon as one pair shows what a stream takes."""
        took_ns = sum(sample.end_ns or sample.ttft_ns for sample in pair)
        pairs = min(self._length_ns // max(took_ns, 1) + 1, self._max_pairs)
        tokens = sum(sample.tokens for sample in pair)
        self._progress(f"at most about {plural(pairs, 'pair')}: {2 * pairs:,} requests, {pairs * tokens:,} tokens")

    def _done(self, passed_ns: int) -> str:
        """Why the measurement ends now; empty when it goes on."""
        pairs = len(self._pairs)
        if pairs + self._lost >= self._max_pairs:
            return f"{plural(self._max_pairs, 'pair')} (--max-pairs)"
        if passed_ns >= self._length_ns:
            return f"{self._length_ns / SECOND:g} s (--max-time)"
        if pairs < LEAST_PAIRS or pairs % _CHECK_EVERY:
            return ""
        cost = cost_of([pair.via.ttft_ns - pair.direct.ttft_ns for pair in self._pairs])
        low, high = (show_ms(end) for end in (cost.low, cost.high))
        self._progress(f"{plural(pairs, 'pair')}: TTFT {show_ms(cost.point)} ({low} to {high})")
        return "precision reached" if cost.half_width <= self._precision_ns else ""

    def _report(
        self, limits: Sequence[Condition], seconds: float, stopped_by: str, *, interrupted: bool
    ) -> OverheadReport:
        costs, measured = costs_of(self._pairs)
        reached = measured["ttft"].half_width <= self._precision_ns
        return OverheadReport(
            streamgauge=__version__,
            direct=self._targets[0].masked_url,
            via=self._targets[1].masked_url,
            seed=self._seed,
            pairs=len(self._pairs),
            lost_pairs=self._lost,
            seconds=round(seconds, 1),
            precision_ms=self._precision_ns / MS,
            reached=reached,
            stopped_by=stopped_by,
            interrupted=interrupted,
            costs=costs,
            limits=[LimitResult(str(limit), verdict_on(limit, measured.get(limit.metric))) for limit in limits],
            notes=self._notes(),
        )

    def _notes(self) -> list[str]:
        notes = [*self._caveats]
        for name, samples in (
            ("direct", [pair.direct for pair in self._pairs]), ("via", [pair.via for pair in self._pairs]),
        ):  # fmt: skip
            cold = sum(not sample.reused for sample in samples)
            if cold > len(samples) / 20:
                notes.append(
                    f"{cold} of {len(samples)} streams on the {name} path needed a new connection: the endpoint did "
                    "not keep it, and connecting is part of the cost."
                )
        differences = [pair.via.ttft_ns - pair.direct.ttft_ns for pair in self._pairs]
        if order_matters(differences, [pair.direct_first for pair in self._pairs]):
            notes.append(
                "The second stream of a pair differs from the first, whichever path it takes (a cache, or a server "
                "that is still busy). The order of the paths is balanced, so this is not in the cost."
            )
        if self._lost:
            detail = "" if self._failure is None else f": {self._failure.detail or self._failure.outcome}"
            notes.append(f"{plural(self._lost, 'pair')} left out because a stream failed{detail}.")
        tokens = [median(sample.tokens for sample in side) for side in
                  ([pair.direct for pair in self._pairs], [pair.via for pair in self._pairs])]  # fmt: skip
        if tokens[0] != tokens[1]:
            notes.append(
                f"The answers differ in length ({tokens[0]:g} and {tokens[1]:g} token events), which is in the cost to "
                "the end: give --max-tokens."
            )
        return notes


def sample_of(transcript: Transcript) -> Sample | None:
    """The times of a stream; None when it failed."""
    if transcript.outcome is not Outcome.OK:
        return None
    stream = StreamFacts(record_of(transcript, "", url=""))
    if stream.ttft_ns is None:
        return None
    gap = mean(stream.gaps_ns)
    return Sample(
        stream.ttft_ns,
        None if gap is None else round(gap),
        stream.end_ns,
        stream.ttft_bound_ns or 0,
        len(stream.token_ns),
        stream.record.reused,
    )


def costs_of(pairs: Sequence[Pair]) -> tuple[list[HopCost], dict[str, Cost]]:
    """The cost in each metric, for reports in ms, and by the name of its metric in ns."""
    bounds = sorted(sample.bound_ns for pair in pairs for sample in (pair.direct, pair.via))
    floor_ns = nearest_rank(bounds, 0.5)  # the cost is a kind of median, so the typical error decides
    reported, measured = [], {}
    for metric, meaning, field in (
        ("ttft", "to the first token", "ttft_ns"),
        ("itl", "in each gap between tokens, mean of a stream", "itl_ns"),
        ("e2e", "to the end of the stream", "end_ns"),
    ):
        both = [(getattr(pair.direct, field), getattr(pair.via, field)) for pair in pairs]
        known = [(one, other) for one, other in both if one is not None and other is not None]
        if not known:
            continue
        cost = measured[metric] = cost_of([other - one for one, other in known])
        one, other = (median(values) / MS for values in zip(*known, strict=True))
        floor = 0.0 if metric == "itl" else floor_ns / MS
        reported.append(HopCost(metric, meaning, one, other, _in_ms(cost), floor))
    return reported, measured


def _in_ms(cost: Cost) -> Range:
    low, high = (None if abs(end) == float("inf") else end / MS for end in (cost.low, cost.high))
    return Range(cost.point / MS, low, high)


def verdict_on(limit: Condition, cost: Cost | None) -> LimitVerdict:
    """Whether a cost exceeds its limit: the whole interval has to be on one side."""
    if cost is None:
        return LimitVerdict.UNDECIDED
    if cost.low > limit.limit:
        return LimitVerdict.ABOVE
    return LimitVerdict.WITHIN if cost.high <= limit.limit else LimitVerdict.UNDECIDED
