"""`streamgauge.compare`: run directories against each other, with intervals, the noise of the same target, verdicts."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypedDict, Unpack

import msgspec

from streamgauge.comparing.baseline import Baseline, trend
from streamgauge.comparing.blocks import LENGTHS, LONG
from streamgauge.comparing.bootstrap import RESAMPLES, RUNS_TO_RESAMPLE, Estimate, estimate
from streamgauge.comparing.change import CHECKS, COMPARED, DEFAULT, Change, Kind, parse_change
from streamgauge.comparing.difference import Difference, Span, difference
from streamgauge.comparing.identity import Identity, identify, labels, of_gaps
from streamgauge.comparing.order import order_effect
from streamgauge.comparing.report import (
    CheckChange,
    CompareReport,
    FailureRow,
    Range,
    Row,
    RuleResult,
    Shift,
    ShiftPoint,
    SideInfo,
    Versus,
)
from streamgauge.comparing.shares import share_difference, streams_to_exclude
from streamgauge.comparing.side import RunSample, Side, failure_kinds, growing, read_side
from streamgauge.comparing.verdict import LEAST_UNITS, Finding, Floor, RuleVerdict, find, judge, too_few
from streamgauge.conformance.result import Verdict
from streamgauge.errors import UsageError
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.metric import Unit
from streamgauge.metrics.slo import scopes_of_metrics
from streamgauge.units import MS, SECOND, plural, show_ms
from streamgauge.version import __version__

SHOWN: Final = (
    ("ttft", "p50"), ("ttft", "p95"), ("ttft", "p99"), ("itl", "p50"), ("itl", "p95"), ("itl", "p99"),
    ("tpot", "p50"), ("e2e", "p50"), ("e2e", "p95"), ("output_tokens_per_s", None), ("error_rate", None),
    ("goodput", None),
)  # fmt: skip
"""The rows of every comparison; those of the rules are added."""

CHANGE_TO_SHOW: Final = 0.05
"""Where no difference is visible, the comparison says how many streams would show a change of this size."""

_SHIFTED: Final = ("ttft", "itl", "e2e")
_QUANTILES: Final = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99)
_SHIFT_RESAMPLES: Final = 400
_MOST_FAILURES: Final = 12
_MOST_GROWING: Final = 0.05  # of a run: more of it without its load is no noise of a rate
_FAILING: Final = frozenset({Verdict.FAIL, Verdict.ERROR})

FIRST: Final = "the first baseline"
TREND: Final = (("ttft", "p50"), ("ttft", "p95"), ("itl", "p95"))
"""The figures of the history that a comparison with a baseline shows."""

Progress = Callable[[str], None]


class CompareOptions(TypedDict, total=False):
    """The options of every comparison."""

    fail_on: Sequence[str | Change]
    anyway: bool
    seed: int
    resamples: int
    progress: Progress


def compare(
    *sides: str | Path,
    fail_on: Sequence[str | Change] = DEFAULT,
    anyway: bool = False,
    seed: int = 1,
    resamples: int = RESAMPLES,
    progress: Progress = lambda _: None,
) -> CompareReport:
    """Compare run directories with the first of them. A side may be several runs: see `read_side`.

    `fail_on` are texts such as "ttft p95 > +10%". Raises UsageError on a text that cannot be read, on a directory that
    holds no load, and on sides that were not measured alike unless `anyway`.
    """
    changes = [parse_change(change) if isinstance(change, str) else change for change in fail_on]
    if len(sides) < 2:
        raise UsageError("a comparison needs two sides at least", "name two run directories: the base, then the other")
    metrics = list(dict.fromkeys(name for name, _ in _rows_of(changes)))
    read: list[Side] = []
    for side in sides:
        progress(f"reading {side}")
        read.append(read_side(str(side), metrics, base=read[0] if read else None))
    return compare_sides(read, fail_on=changes, anyway=anyway, seed=seed, resamples=resamples, progress=progress)


def compare_with_baseline(directory: Path, run: str, **options: Unpack[CompareOptions]) -> CompareReport:
    """Compare a run with the pinned baseline of a directory, and with the first one: that shows a slow drift.

    Raises UsageError as `compare` does, and without a baseline.
    """
    baseline = Baseline(directory)
    pinned, *first = baseline.sides
    report = compare(pinned, run, **options)
    if first:
        drift = compare(first[0], run, **options)
        base = msgspec.structs.replace(drift.sides[0], name=FIRST)
        against = msgspec.structs.replace(drift.against[0], base=FIRST)
        report = msgspec.structs.replace(report, sides=[*report.sides, base], against=[*report.against, against])
    baseline.remember(run, report)
    assert baseline.file is not None
    return msgspec.structs.replace(report, history=trend(baseline.file, TREND))


def compare_sides(
    sides: Sequence[Side],
    *,
    fail_on: Sequence[Change] = DEFAULT,
    anyway: bool = False,
    seed: int = 1,
    resamples: int = RESAMPLES,
    progress: Progress = lambda _: None,
) -> CompareReport:
    """The same with sides that were read. Raises UsageError on sides that were not measured alike unless `anyway`."""
    base, names = sides[0], labels(sides)
    _must_be_different_runs(sides)
    against = []
    for side, name in zip(sides[1:], names[1:], strict=True):
        identity = identify(base, side)
        if identity.refused and not anyway:
            raise UsageError(
                f"{base.label} and {side.label} were not measured alike: {'; '.join(map(str, identity.refused))}",
                "run both with the same options, or give --anyway to compare them all the same",
            )
        progress(f"comparing {side.label}")
        against.append(_Versus(base, side, identity, seed, resamples).result(name, fail_on))
    return CompareReport(
        streamgauge=__version__,
        seed=seed,
        resamples=resamples,
        confidence=CONFIDENCE,
        sides=[_info(side, name) for side, name in zip(sides, names, strict=True)],
        against=against,
    )


def _must_be_different_runs(sides: Sequence[Side]) -> None:
    """Raises UsageError when a run is there twice: it has no difference to itself, whatever the noise is."""
    seen = set[Path]()
    for run in (run for side in sides for run in side.runs):
        place = run.directory.resolve()
        if place in seen:
            raise UsageError(f"{run.directory} is there twice", "measure again: a run is always equal to itself")
        seen.add(place)


def _rows_of(fail_on: Iterable[Change]) -> list[tuple[str, str | None]]:
    """Metric and statistic of every row: those that are always shown, then those of the rules."""
    asked = [(change.metric, change.statistic) for change in fail_on if change.kind is not Kind.CHECKS]
    return list(dict.fromkeys([*SHOWN, *asked]))


class _Versus:
    """One side against the base."""

    def __init__(self, a: Side, b: Side, identity: Identity, seed: int, resamples: int) -> None:
        self._a, self._b, self._identity = a, b, identity
        self._rng, self._resamples = random.Random(seed), resamples
        self._found: dict[tuple[str, str | None], tuple[Row, Difference | None]] = {}

    def result(self, name: str, fail_on: Sequence[Change]) -> Versus:
        rows = [row for key in _rows_of(fail_on) if (row := self._row(*key)[0]) is not None]
        checks = list(_changed_checks(self._a, self._b))
        effect = order_effect(self._a, self._b, self._rng)
        drift = [effect.doubt] if effect.doubt else []
        return Versus(
            name=name,
            identity=self._identity.line,
            alike=not self._identity.refused,
            doubts=[*self._identity.doubts, *drift],
            notes=[*self._notes(), *([effect.note] if effect.note else [])],
            rows=[row for row in rows if row.a is not None or row.b is not None],
            rules=[self._rule(change, checks, drift) for change in self._asked(fail_on)],
            shifts=[shift for metric in _SHIFTED if (shift := self._shift(metric)) is not None],
            failures=_failures(self._a, self._b),
            checks=checks,
        )

    def _asked(self, fail_on: Sequence[Change]) -> list[Change]:
        """The changes to judge. Who names none does not ask for verdicts of checks that were never made."""
        without = tuple(fail_on) == DEFAULT and not _have_checks(self._a, self._b)
        return [change for change in fail_on if not (without and change.kind is Kind.CHECKS)]

    def _row(self, metric: str, statistic: str | None) -> tuple[Row, Difference | None]:
        key = (metric, statistic)
        if key not in self._found:
            self._found[key] = self._compute(metric, statistic)
        return self._found[key]

    def _compute(self, metric: str, statistic: str | None) -> tuple[Row, Difference | None]:
        declared = COMPARED[metric]
        a, b = self._a.columns(metric), self._b.columns(metric)
        is_time = declared.unit is Unit.DURATION
        floor = (
            Floor(*max(side.floor_ns(of_gaps=of_gaps(declared)) for side in (self._a, self._b))) if is_time else Floor()
        )
        scale = MS if is_time else 1
        why = self._why_not(metric, statistic)
        if not any(run.values for run in a) or not any(run.values for run in b):
            return _absent(metric, statistic, declared.unit, why or "a side has no such value"), None
        lengths = LONG if declared.unit is Unit.PER_SECOND else LENGTHS
        one, other = (estimate(runs, statistic or "mean", self._rng, self._resamples, lengths) for runs in (a, b))
        found = difference(one, other, twice=self._twice(metric, statistic))
        if declared.unit is Unit.SHARE:
            found = share_difference(found, metric, self._a, self._b)
        why = why or _weak(one, other)
        finding = Finding.NOT_JUDGED if why else find(found, floor, higher_is_better=declared.higher_is_better)
        streams = min(self._a.streams, self._b.streams)
        needed = found.needed(streams, CHANGE_TO_SHOW)
        row = Row(
            metric=metric,
            statistic=statistic,
            unit=declared.unit.value,
            a=_finite(one.point / scale),
            b=_finite(other.point / scale),
            absolute=_range(found.absolute, scale),
            relative=_range(found.relative, 1) if found.relative else None,
            noise=found.noise,
            floor_ms=floor.value / MS if is_time else None,
            floor_from=floor.source or None,
            finding=finding,
            needed=needed if is_time and needed is not None and needed > streams else None,
            shows_five=needed is not None and needed <= streams and (found.noise or 0.0) < CHANGE_TO_SHOW,
            note=why,
        )
        return row, None if why else found

    def _why_not(self, metric: str, statistic: str | None) -> str | None:
        """Why a row cannot be judged, before it is computed; None when it can."""
        if spoilt := next(filter(None, map(self._identity.spoilt, self._rests_on(metric))), None):
            return f"not comparable: {spoilt}"
        if COMPARED[metric].unit is Unit.PER_SECOND:
            share = max(growing(run) for side in (self._a, self._b) for run in side.columns(metric))
            return None if share <= _MOST_GROWING else f"the load still grew for {share:.0%} of a run: give --warmup"
        return too_few(statistic, min(self._a.streams, self._b.streams))

    def _twice(self, metric: str, statistic: str | None) -> list[tuple[float, float]]:
        """The figures of runs of the same side: the same target twice."""
        found = []
        for side in (self._a, self._b):
            if len(side.runs) > 1:
                figures = [estimate([run], statistic or "mean", self._rng, 0).point for run in side.columns(metric)]
                found += [(one, other) for at, one in enumerate(figures) for other in figures[at + 1 :]]
        return found

    def _rests_on(self, metric: str) -> list[str]:
        """The metrics whose values decide a metric."""
        return [metric, *(slo.metric for slo in self._a.slos)] if metric == "goodput" else [metric]

    def _rule(self, change: Change, checks: Sequence[CheckChange], drift: Sequence[str]) -> RuleResult:
        if change.kind is Kind.CHECKS:
            return _rule_of_checks(checks, compared=_have_checks(self._a, self._b))
        row, found = self._row(change.metric, change.statistic)
        measured = measured_text(row, points=change.kind is not Kind.RELATIVE)
        if found is None or row.a is None:
            return RuleResult(rule=str(change), verdict=RuleVerdict.UNDECIDED, measured=measured, reason=row.note)
        floor = Floor((row.floor_ms or 0) * MS, row.floor_from or "")
        scale = MS if COMPARED[change.metric].unit is Unit.DURATION else 1
        verdict, reason = judge(change, found, floor, row.a * scale)
        needed = None
        if verdict is RuleVerdict.UNDECIDED:
            needed = self._needed(change, found, floor, row.a * scale)
        doubts = [*self._identity.doubts_about(scopes_of_metrics(self._rests_on(change.metric))), *drift]
        if doubts and verdict is not RuleVerdict.UNDECIDED:
            verdict, reason = RuleVerdict.UNDECIDED, f"nothing is decided: {doubts[0]}"
        return RuleResult(rule=str(change), verdict=verdict, measured=measured, reason=reason, needed=needed)

    def _needed(self, change: Change, found: Difference, floor: Floor, a: float) -> int | None:
        """How many streams a side would decide a rule, if nothing changed; None where no number would, because this
        client's own error is as large as the limit.
        """
        streams = min(self._a.streams, self._b.streams)
        if change.kind is Kind.POINTS:
            return streams_to_exclude(change.metric, self._a, self._b, change.limit)
        limit = change.limit if change.kind is Kind.RELATIVE else change.limit / a if a else 0.0
        room = limit - (floor.value / a if a else 0.0)
        least = found.needed(streams, room) if room > 0 else None
        return None if least is None or least <= streams else least

    def _notes(self) -> list[str]:
        notes = []
        if self._a.slos:
            notes.append(f"Goodput is judged by the objectives of the base: {'; '.join(map(str, self._a.slos))}.")
        if min(len(self._a.runs), len(self._b.runs)) < RUNS_TO_RESAMPLE:
            notes.append(
                f"With fewer than {RUNS_TO_RESAMPLE} runs a side, the intervals hold the noise within the runs only, "
                "not what differs between two starts of the same server."
            )
        return notes

    def _shift(self, metric: str) -> Shift | None:
        a, b = self._a.columns(metric), self._b.columns(metric)
        points, resamples = [], min(self._resamples, _SHIFT_RESAMPLES)
        for percent in _QUANTILES:
            name = f"p{percent}"
            if too_few(name, min(self._a.streams, self._b.streams)) or self._identity.spoilt(metric):
                continue
            if not any(run.values for run in a) or not any(run.values for run in b):
                return None
            one, other = (estimate(runs, name, self._rng, resamples) for runs in (a, b))
            found = difference(one, other)
            span = found.relative
            if span is not None and all(map(math.isfinite, span)):
                points.append(ShiftPoint(percent / 100, one.point / MS, other.point / MS, *span, found.noise or 0.0))
        return Shift(metric, points) if len(points) > 2 else None


def _weak(one: Estimate, other: Estimate) -> str | None:
    """Why resampling says too little; None when it does not."""
    if not math.isfinite(one.point) or not math.isfinite(other.point):
        return "waits had not ended when the streams were cut: give --drain"
    if any(side.units < LEAST_UNITS and not side.by_run for side in (one, other)):
        return "the streams began in too few moments: run longer"
    if one.restless or other.restless:
        return "it changes slowly within a run: run longer"
    return None


def measured_text(row: Row, *, points: bool = False) -> str | None:
    """A difference and its interval in words: `+3.1 % (-0.4 % to +6.8 %)`."""
    if row.unit == Unit.SHARE.value and row.absolute:
        return _interval(row.absolute, lambda value: f"{100 * value:+.2f} pp")
    if points and row.unit == Unit.DURATION.value and row.absolute:
        return _interval(row.absolute, lambda value: f"{'+' if value >= 0 else ''}{show_ms(value * MS)}")
    return _interval(row.relative, lambda value: f"{100 * value:+.1f} %") if row.relative else None


def _interval(found: Range, show: Callable[[float], str]) -> str:
    low, high = ("?" if end is None else show(end) for end in (found.low, found.high))
    return f"{show(found.point)} ({low} to {high})"


def _absent(metric: str, statistic: str | None, unit: Unit, note: str) -> Row:
    return Row(
        metric=metric, statistic=statistic, unit=unit.value, a=None, b=None, absolute=None, relative=None, noise=None,
        floor_ms=None, floor_from=None, finding=Finding.NOT_JUDGED, note=note,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _range(span: Span, scale: float) -> Range | None:
    if not math.isfinite(span.point):
        return None
    return Range(span.point / scale, _finite(span.low / scale), _finite(span.high / scale))


def _failures(a: Side, b: Side) -> list[FailureRow]:
    """How streams failed, side by side, the most frequent first."""
    one, other = Counter(dict(failure_kinds(a))), Counter(dict(failure_kinds(b)))
    ordered = sorted(one | other, key=lambda kind: (-one[kind] - other[kind], kind.outcome, kind.detail))
    return [FailureRow(*kind, one[kind], other[kind]) for kind in ordered[:_MOST_FAILURES]]


def _verdicts(side: Side) -> dict[str, Verdict]:
    """The verdicts of conformance checks: of the last run that has them."""
    found = [run.checks for run in side.runs if run.checks is not None]
    return {result.id: result.verdict for result in found[-1].results} if found else {}


def _have_checks(a: Side, b: Side) -> bool:
    return bool(_verdicts(a)) and bool(_verdicts(b))


def _changed_checks(a: Side, b: Side) -> Iterable[CheckChange]:
    before, after = _verdicts(a), _verdicts(b)
    for check in sorted(before.keys() & after.keys()):
        one, other = before[check], after[check]
        if one is not other:
            yield CheckChange(check, one.value, other.value, other in _FAILING and one not in _FAILING)


def _rule_of_checks(changes: Sequence[CheckChange], *, compared: bool) -> RuleResult:
    """A check that fails now and did not fail before is a regression. Both sides must have checks for a verdict."""
    if not compared:
        reason = "a side has no checks.json: run `streamgauge check --out` into both directories"
        return RuleResult(rule=CHECKS, verdict=RuleVerdict.UNDECIDED, reason=reason)
    worse = [change.id for change in changes if change.newly_fails]
    measured = f"{plural(len(worse), 'check')} newly failing"
    verdict = RuleVerdict.REGRESSION if worse else RuleVerdict.NONE
    return RuleResult(rule=CHECKS, verdict=verdict, measured=measured, reason=", ".join(worse[:10]) or None)


def _info(side: Side, name: str) -> SideInfo:
    first: RunSample = side.runs[0]
    return SideInfo(
        name=name,
        label=side.label,
        runs=[str(run.directory) for run in side.runs],
        target=first.run.target,
        started=[run.run.started for run in side.runs],
        streamgauge=first.run.streamgauge,
        load=str(first.run.settings.get("load", "")),
        streams=side.streams,
        failed=sum(run.failed for run in side.runs),
        validity=[run.summary.validity.verdict for run in side.runs],
        seconds=round(sum(run.length_ns for run in side.runs) / SECOND, 1),
    )
