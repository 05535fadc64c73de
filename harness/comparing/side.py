"""One side of a comparison: a run directory, or several runs of the same target, read into slices of time."""

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from streamgauge.comparing.blocks import SLICES, Placed, Sliced, sliced_waits
from streamgauge.comparing.change import COMPARED
from streamgauge.conformance.result import ChecksFile
from streamgauge.errors import UsageError
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.facts import CUT, StreamFacts
from streamgauge.metrics.metric import PerStream, Pooled
from streamgauge.metrics.slo import Fate, fate_of, is_per_stream, parse_slo
from streamgauge.metrics.summary import Failure, Summary, Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RunFile
from streamgauge.units import MS, SECOND

MOST_RUNS: Final = 50
_EXACT_STREAMS: Final = 20_000
"""Values of later streams, and all pooled values, are rounded and counted: memory does not grow with the run."""

_ROUNDED_BITS: Final = 12  # so many leading bits of a rounded value stay: it is known within 0.025 %


class Lengths(NamedTuple):
    """Mean numbers of tokens a stream: what the server says it read, and what came. None without a count."""

    prompt: float | None = None
    output: float | None = None


class Counted(NamedTuple):
    """`having` of `total` streams have a property. Streams that were cut too early count in neither."""

    having: int
    total: int


class RunSample(NamedTuple):
    """One run. `columns` has the values of each compared metric, `shares` the counts behind a share of streams. Error
    bounds are in ns, by whether of gaps. `slos` are the objectives by which goodput was judged.
    """

    directory: Path
    run: RunFile
    summary: Summary
    columns: dict[str, Sliced]
    streams: int
    failed: int
    shares: dict[str, Counted]
    slos: Sequence[Condition]
    failures: Counter[Failure]
    begin_ns: int
    length_ns: int
    lengths: Lengths
    calibration: Calibration | None
    checks: ChecksFile | None

    def floor_ns(self, *, of_gaps: bool) -> tuple[float, str]:
        """The error of this client and where it is known from: the calibration, else the bounds of this run."""
        known = self.calibration
        if known is not None and of_gaps and known.itl_p50_error_ms is not None:
            errors = [known.itl_p50_error_ms, known.itl_p99_error_ms or 0.0]
            return max(map(abs, errors)) * MS, "calibrated"
        if known is not None and not of_gaps and known.ttft_error_ms is not None:
            return max(abs(known.ttft_error_ms.p50), abs(known.ttft_error_ms.p99)) * MS, "calibrated"
        bound = self.summary.itl_bound_ms if of_gaps else self.summary.ttft_bound_ms
        return (0.0 if bound is None else bound.p99 * MS), "error bound p99 of the run"


class Side(NamedTuple):
    """The runs of one side, in the order in which they ran."""

    label: str
    runs: list[RunSample]

    @property
    def streams(self) -> int:
        return sum(run.streams for run in self.runs)

    @property
    def slos(self) -> Sequence[Condition]:
        """The objectives by which goodput was judged."""
        return self.runs[0].slos

    def columns(self, metric: str) -> list[Sliced]:
        """The values of a metric, a run each."""
        return [run.columns[metric] for run in self.runs]

    def floor_ns(self, *, of_gaps: bool) -> tuple[float, str]:
        """The largest error of the client among the runs."""
        return max(run.floor_ns(of_gaps=of_gaps) for run in self.runs)


def read_side(text: str, metrics: Iterable[str], base: Side | None = None) -> Side:
    """The side that an argument names. Raises UsageError when a directory holds no load that can be compared.

    Goodput is judged by the objectives of `base`; without a base, by those of the first run.

    `text` is a run directory, a directory with run directories in it, or several of either, separated by commas.
    """
    wanted = list(metrics)
    found = [directory for part in _parts(text) for directory in _run_directories(Path(part))]
    if len(found) > MOST_RUNS:
        raise UsageError(f"{text} holds {len(found)} runs, and at most {MOST_RUNS} are compared", "name fewer")
    slos = objectives(found[0]) if base is None else base.slos
    samples = [read_run(directory, wanted, slos) for directory in found]
    samples.sort(key=lambda sample: sample.begin_ns)
    return Side(text, samples)


def _parts(text: str) -> list[str]:
    """The directories of an argument: a name that exists is one directory, also with a comma in it."""
    return [text] if Path(text).exists() else [part for part in text.split(",") if part] or [text]


def _run_directories(path: Path) -> list[Path]:
    try:
        if (path / runs.RUN).exists() or (path / runs.STREAMS).exists():
            return [path]
        inside = sorted(entry for entry in path.iterdir() if (entry / runs.RUN).is_file()) if path.is_dir() else []
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a run directory that `load` wrote") from None
    if not inside:
        what = "has neither run.json nor run directories in it" if path.is_dir() else "is not a directory"
        raise UsageError(f"{path} {what}", "name the --out directory of a `streamgauge load`")
    return inside


def objectives(directory: Path) -> list[Condition]:
    """The objectives of a run that a single stream meets or misses; a text that is not an objective is left out."""
    found: Any = _manifest(directory).settings.get("slos")
    slos = []
    for text in found if isinstance(found, list) else []:
        with suppress(UsageError):
            slos.append(parse_slo(str(text)))
    return [slo for slo in slos if is_per_stream(slo)]


def _manifest(directory: Path) -> RunFile:
    run = runs.read_file(directory / runs.RUN, RunFile)
    if run is None:
        raise UsageError(f"{directory} has no run.json", "name the --out directory of a `streamgauge load`")
    return run


def read_run(directory: Path, metrics: Sequence[str], slos: Sequence[Condition] = ()) -> RunSample:
    """One run from its files. Raises UsageError when it is no load, or holds no measured stream."""
    run = _manifest(directory)
    begin_ns, end_ns = _window(directory)
    totals, collector = Totals(reading_doubt=run.dialect_doubt), _Collector(metrics, slos, begin_ns, end_ns)
    for record in runs.RecordReader(directory):
        stream = totals.add(record)
        collector.add(stream)
    if not collector.streams:
        raise UsageError(f"{directory} holds no measured stream", "compare runs of `streamgauge load` that have ended")
    summary = run.summary or totals.summary(runs.workers(directory), faults=run.faults)
    return RunSample(
        directory,
        run,
        summary,
        collector.columns(),
        collector.streams,
        collector.failed,
        collector.shares(),
        slos,
        totals.failures,
        begin_ns,
        end_ns - begin_ns,
        collector.lengths(),
        run.calibration or runs.read_file(directory / runs.CALIBRATION, Calibration),
        runs.read_file(directory / runs.CHECKS, ChecksFile),
    )


def _window(directory: Path) -> tuple[int, int]:
    """When the measured streams began, epoch ns: the first start after the warm-up, and the last start."""
    chosen = runs.window(directory)
    first = last = None
    for outline in runs.outlines(directory):
        if chosen is None or outline.start_ns >= chosen.begin_ns:
            first = outline.start_ns if first is None else min(first, outline.start_ns)
        last = outline.start_ns if last is None else max(last, outline.start_ns)
    first = (last or 0) if first is None else first
    begin_ns = first if chosen is None else min(first, chosen.begin_ns)
    return begin_ns, max(last or 0, begin_ns + SLICES)


class _Collector:
    """Takes in the streams of one run, and keeps the values of the compared metrics by slice."""

    def __init__(self, metrics: Sequence[str], slos: Sequence[Condition], begin_ns: int, end_ns: int) -> None:
        self._begin_ns, self._step_ns = begin_ns, (end_ns - begin_ns) / SLICES
        chosen = [COMPARED[name] for name in metrics]
        self._of_stream = [metric for metric in chosen if isinstance(metric, PerStream)]
        self._pooled = [metric for metric in chosen if isinstance(metric, Pooled)]
        self._ended = {metric.name: Counter[Placed]() for metric in chosen}
        self._cut = {metric.name: Counter[Placed]() for metric in chosen}
        self._judged = Counter[Placed]()
        self._slos, self._good = slos, Counter[Placed]()
        self._tokens, self._started = [0.0] * SLICES, [0] * SLICES
        self._prompts, self._outputs = _Mean(), _Mean()
        self.streams = self.failed = 0

    def _slice(self, at_ns: int) -> int:
        return min(max(int((at_ns - self._begin_ns) / self._step_ns), 0), SLICES - 1)

    def add(self, stream: StreamFacts) -> None:
        """One stream; of the warm-up only tokens count, where they arrive after it."""
        record = stream.record
        self._add_tokens(stream)
        if record.warmup:
            return
        at = self._slice(record.start_ns)
        self.streams += 1
        self._started[at] += 1
        if record.outcome not in CUT:
            self.failed += record.outcome is not Outcome.OK
            self._judged[float(record.outcome is not Outcome.OK), at] += 1
        if self._slos and (fate := fate_of(stream, self._slos)[0]) is not Fate.OPEN:
            self._good[float(fate is Fate.GOOD), at] += 1
        if record.outcome is Outcome.OK:
            self._outputs.add(record.output_tokens)
        self._prompts.add(record.usage_prompt_tokens)
        kept = _rounded if self.streams > _EXACT_STREAMS else float
        for metric in self._of_stream:
            value = metric.value(stream)
            if value is not None:
                self._ended[metric.name][kept(value), at] += 1
            elif stream.cut_ns is not None and metric.cut is not None and (waited := metric.cut(stream)) is not None:
                self._cut[metric.name][kept(waited), at] += 1
        for pool in self._pooled:
            self._ended[pool.name].update((_rounded(value), at) for value in pool.values(stream))

    def _add_tokens(self, stream: StreamFacts) -> None:
        """Spread the tokens of a stream over the slices in which they arrived."""
        times, tokens = stream.token_ns, stream.record.output_tokens
        if not times or not tokens:
            return
        start_ns, each = stream.record.start_ns, tokens / len(times)
        first, last = self._slice(start_ns + times[0]), self._slice(start_ns + times[-1])
        end_ns = self._begin_ns + SLICES * self._step_ns
        edges = [0 if first else bisect_left(times, self._begin_ns - start_ns)]
        edges += [
            bisect_left(times, self._begin_ns + at * self._step_ns - start_ns) for at in range(first + 1, last + 1)
        ]
        edges.append(bisect_left(times, end_ns - start_ns) if last == SLICES - 1 else len(times))
        for at, (low, high) in zip(range(first, last + 1), itertools.pairwise(edges), strict=True):
            self._tokens[at] += each * max(high - low, 0)

    def columns(self) -> dict[str, Sliced]:
        """The values of every metric, and of the shares and rates as means: see `_rate`."""
        step_s = self._step_ns / SECOND
        return {
            **{name: sliced_waits(counts, self._cut[name]) for name, counts in self._ended.items()},
            "error_rate": sliced_waits(self._judged),
            "goodput": sliced_waits(self._good),
            "output_tokens_per_s": _rate(self._tokens, step_s),
            "streams_per_s": _rate(self._started, step_s),
        }

    def shares(self) -> dict[str, Counted]:
        """The counts behind the shares of streams."""
        return {"error_rate": _counted(self._judged), "goodput": _counted(self._good)}

    def lengths(self) -> Lengths:
        """Mean lengths of prompts and of whole answers."""
        return Lengths(self._prompts.value, self._outputs.value)


def _counted(placed: Counter[Placed]) -> Counted:
    """The streams with a value of 1, of all with a value."""
    return Counted(sum(count for (value, _), count in placed.items() if value), placed.total())


def _rate(counts: Sequence[float], step_s: float) -> Sliced:
    """A rate as a mean: the value of a slice is its rate, and its mass is its length in seconds."""
    ordered = sorted((count / step_s, at) for at, count in enumerate(counts))
    return Sliced([value for value, _ in ordered], [at for _, at in ordered], [step_s] * len(ordered))


def growing(rate: Sliced) -> float:
    """The share of a run, at its begin, in which a rate has not yet reached half of its median: users still start."""
    level = median(rate.values) / 2
    by_slice = dict(zip(rate.slices, rate.values, strict=True))
    return next((at for at in range(SLICES) if by_slice[at] >= level), 0) / SLICES


def _rounded(value: float) -> float:
    """A value with its leading bits only, so that equal ones can be counted."""
    whole = round(value)
    drop = whole.bit_length() - _ROUNDED_BITS
    return float(whole if drop <= 0 else (whole + (1 << (drop - 1))) >> drop << drop)


class _Mean:
    """The mean of the numbers that are known."""

    def __init__(self) -> None:
        self._sum = self._count = 0

    def add(self, value: int | None) -> None:
        if value is not None:
            self._sum += value
            self._count += 1

    @property
    def value(self) -> float | None:
        return self._sum / self._count if self._count else None


def failure_kinds(side: Side) -> Iterator[tuple[Failure, int]]:
    """The ways in which streams of a side failed, the most frequent first."""
    found: Counter[Failure] = Counter()
    for run in side.runs:
        found.update(run.failures)
    yield from found.most_common()
