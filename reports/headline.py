"""The top of a report, readable in five seconds: a verdict, its reasons, and the key figures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.conformance.result import Verdict
from streamgauge.diagnosis.cancellation import CancelRow
from streamgauge.metrics.calibration import beyond
from streamgauge.metrics.distributions import Distribution, show_interval
from streamgauge.metrics.facts import NEUTRAL
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import SloResult
from streamgauge.metrics.slo import SloVerdict as SloVerdict
from streamgauge.metrics.steady_state import Steadiness
from streamgauge.metrics.summary import Summary
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.load import Run
from streamgauge.reports.text import ABSENT, clean, label, ms, number, percent
from streamgauge.units import plural


class Level(StrEnum):
    """How serious a finding is."""

    GOOD = "good"
    NOTE = "note"
    WARN = "warn"
    BAD = "bad"


_WORDS: Final = {
    Level.GOOD: "No problem found",
    Level.NOTE: "No problem found",
    Level.WARN: "Worth a look",
    Level.BAD: "Problems found",
}
_ORDER: Final = (Level.GOOD, Level.NOTE, Level.WARN, Level.BAD)
_SLO_LEVELS: Final = {
    SloVerdict.MET: Level.GOOD,
    SloVerdict.MISSED: Level.BAD,
    SloVerdict.UNDECIDED: Level.WARN,
}
_BY_WEIGHT: Final = (SloVerdict.MISSED, SloVerdict.UNDECIDED, SloVerdict.MET)
_CANCEL_LEVELS: Final = {"pass": Level.GOOD, "fail": Level.BAD, "error": Level.BAD, "warn": Level.WARN}


class HeadlineFinding(NamedTuple):
    """One sentence of the verdict."""

    level: Level
    text: str


class Tile(NamedTuple):
    """One key figure; `part` is the section it belongs to."""

    part: str
    label: str
    value: str
    note: str = ""
    level: Level = Level.NOTE


class Headline(NamedTuple):
    """The verdict and its reasons, worst first."""

    level: Level
    words: str
    findings: list[HeadlineFinding]
    tiles: list[Tile]


def headline(run: Run) -> Headline:
    """The whole run in a line and a row of tiles."""
    findings = [*_checks(run), *_load(run), *_cancellation(run), *_diagnosis(run)]
    findings = worst_first(findings)
    level = findings[0].level if findings else Level.NOTE
    words = _WORDS[level] if any(f.level is not Level.NOTE for f in findings) else "Nothing to judge"
    if (decided := _decided(run)) is not None:
        words = f"{words}: {decided}"
    tiles = [*_load_tiles(run.summary), *_check_tiles(run), *_cancel_tiles(run), *_diagnosis_tiles(run)]
    return Headline(level, words, findings, tiles)


def worst_first(findings: Iterable[HeadlineFinding]) -> list[HeadlineFinding]:
    """The findings by level; those of one level stay in their order."""
    return sorted(findings, key=lambda finding: -_ORDER.index(finding.level))


def _decided(run: Run) -> str | None:
    """How many objectives of the load are met, missed and undecided; None without an objective."""
    counts = Counter(result.verdict for result in run.slos)
    total = sum(counts.values())
    if not total:
        return None
    if run.summary is not None and run.summary.validity.verdict == "INVALID":
        return "the timings are INVALID, so they decide nothing"
    if counts[SloVerdict.MET] == total > 1:
        return f"all {total} objectives are met"
    if total == 1:
        return f"the objective is {next(iter(counts)).value}"
    first, *rest = [f"{counts[verdict]}{{}} {verdict.value}" for verdict in _BY_WEIGHT if counts[verdict]]
    return ", ".join([first.format(f" of {total} objectives"), *(part.format("") for part in rest)])


def check_counts(run: Run) -> dict[str, int]:
    """The number of checks by verdict, without zeros. Counted from the results; the file's own summary is not used."""
    results = run.checks.results if run.checks else []
    counts = {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    return {verdict: count for verdict, count in counts.items() if count}


def unsuccessful(summary: Summary) -> int:
    """Streams that failed: neither ok, nor left by their user, nor cut by the end of the run."""
    return sum(count for outcome, count in summary.streams.items() if outcome not in NEUTRAL)


def worst_delay(run: Run) -> CancelRow | None:
    """The abandoned stream whose upstream noticed latest."""
    rows = run.cancellation.rows if run.cancellation else []
    return max(
        (row for row in rows if row.propagation_ms is not None), key=lambda row: row.propagation_ms or 0.0, default=None
    )


def wasted(run: Run) -> int | None:
    """Tokens generated after the client had left, over all rows that know the number; None if no row does."""
    rows = run.cancellation.rows if run.cancellation else []
    known = [row.wasted_tokens for row in rows if row.wasted_tokens is not None]
    return sum(known) if known else None


def _checks(run: Run) -> list[HeadlineFinding]:
    if run.checks is None:
        return []
    counts = check_counts(run)
    total = len(run.checks.results)
    findings = []
    if failed := counts.get(Verdict.FAIL, 0):
        findings.append(HeadlineFinding(Level.BAD, f"{plural(failed, 'check')} of {total} failed"))
    if broken := counts.get(Verdict.ERROR, 0):
        findings.append(HeadlineFinding(Level.BAD, f"{plural(broken, 'check')} could not run: an error of the harness"))
    if warned := counts.get(Verdict.WARN, 0):
        level = Level.BAD if run.checks.strict else Level.WARN
        findings.append(HeadlineFinding(level, plural(warned, "check warns", "checks warn")))
    if not findings:
        passed = counts.get(Verdict.PASS, 0)
        findings.append(
            HeadlineFinding(Level.GOOD, f"{plural(passed, 'check')} of {total} passed, none failed")
            if passed
            else HeadlineFinding(Level.WARN, f"none of {plural(total, 'check')} could be decided")
        )
    if undecided := counts.get(Verdict.INCONCLUSIVE, 0):
        words = plural(undecided, "check is inconclusive", "checks are inconclusive")
        findings.append(HeadlineFinding(Level.NOTE, words))
    return findings


def _load(run: Run) -> list[HeadlineFinding]:
    summary = run.summary
    findings = []
    if run.manifest and run.manifest.summary is None and (run.streams or run.manifest.command == "load"):
        findings.append(HeadlineFinding(Level.WARN, f"the run did not finish (status: {clean(run.manifest.status)})"))
    elif run.manifest and run.manifest.status == "interrupted":
        findings.append(HeadlineFinding(Level.WARN, "the run was interrupted: this report covers the part before"))
    elif run.manifest and run.manifest.status.startswith("stopped"):
        findings.append(HeadlineFinding(Level.BAD, f"the run was {clean(run.manifest.status)}"))
    elif run.manifest and run.manifest.status.startswith("failed"):
        findings.append(HeadlineFinding(Level.BAD, f"the run {clean(run.manifest.status)}"))
    if run.manifest and run.manifest.open_loop and run.manifest.open_loop.closed:
        findings.append(HeadlineFinding(Level.WARN, "the open loop became a closed loop: see the caveats"))
    if (serial := run.one_at_a_time) is not None:
        findings.append(HeadlineFinding(Level.WARN, serial.says))
    if summary is None:
        return findings
    total = sum(summary.streams.values())
    if failed := unsuccessful(summary):
        findings.append(
            HeadlineFinding(
                Level.BAD,
                f"{failed:,} of {plural(total, 'stream')} failed ({percent(failed / total)}){_most_often(run)}",
            )
        )
    elif total:
        findings.append(HeadlineFinding(Level.GOOD, f"0 of {plural(total, 'stream')} failed"))
    if summary.slos and summary.goodput is not None:
        level = Level.GOOD if summary.goodput == 1 else Level.WARN
        findings.append(HeadlineFinding(level, f"goodput is {_goodput(summary)} for {_all_of(summary.slos)}"))
    findings += [HeadlineFinding(_SLO_LEVELS[result.verdict], _objective(result)) for result in summary.slo_results]
    if (steady := summary.steady_state) is not None and steady.verdict is Steadiness.NOT_STEADY:
        findings.append(HeadlineFinding(Level.WARN, clean(str(steady))))
    elif steady is not None and steady.verdict is Steadiness.COLD_ENGINE:
        findings.append(HeadlineFinding(Level.NOTE, clean(str(steady))))
    if summary.lengths is not None and (other := summary.lengths.short + summary.lengths.long):
        words = f"{other:,} of {plural(summary.lengths.streams, 'answer')} had another length than asked for"
        findings.append(HeadlineFinding(Level.WARN, f"{words}: see the caveats"))
    if summary.stalls:
        findings.append(HeadlineFinding(Level.WARN, plural(summary.stalls, "stall")))
    if summary.validity.verdict not in ("VALID", "NO DATA"):
        level = Level.BAD if summary.validity.verdict == "INVALID" else Level.WARN
        reasons = clean("; ".join(summary.validity.reasons)) or "see the caveats"
        findings.append(HeadlineFinding(level, f"the timings are {clean(summary.validity.verdict)}: {reasons}"))
    return [*findings, *_of_client(run)]


def _most_often(run: Run) -> str:
    """The most frequent failure, for the end of a sentence; empty where the records are missing."""
    counted = run.streams.totals.failures if run.streams else {}
    if not counted:
        return ""
    failure, count = min(counted.items(), key=lambda item: (-item[1], item[0].outcome))
    status = "" if failure.status in (None, 200) else f" {failure.status}"
    detail = "" if not failure.detail else f": {label(failure.detail, 80)}"
    return clean(f"; {'all' if len(counted) == 1 else f'{count:,} of them'} {failure.outcome}{status}{detail}")


def _all_of(slos: Sequence[str]) -> str:
    """The objectives, in a length that fits a tile."""
    return clean("; ".join(slos)) if len(slos) < 3 else f"all {len(slos)} objectives together"


def _of_client(run: Run) -> list[HeadlineFinding]:
    """The error of this client at TTFT: no difference smaller than it means anything."""
    found = run.manifest.calibration if run.manifest else None
    if found is None or found.ttft_error_ms is None or run.summary is None or run.manifest is None:
        return []
    error = found.ttft_error_ms
    words = f"this client's own error in TTFT: p50 {error.p50:+.2f} ms, p99 {error.p99:+.2f} ms"
    why = beyond(found, run.summary, run.manifest.most_open)
    return [HeadlineFinding(Level.NOTE, clean(f"{words}, but {why}" if why else words))]


def _objective(result: SloResult) -> str:
    """An objective, its verdict, and the evidence: the measured value, its interval and the number of streams."""
    rests_on = [] if result.interval is None else [f"{CONFIDENCE:.0%} interval {result.interval}"]
    rests_on += [] if result.streams is None else [plural(result.streams, "stream")]
    evidence = f": measured {result.measured}" if result.measured else ""
    evidence += f" ({', '.join(rests_on)})" if rests_on and result.measured else ""
    evidence += f"; {result.reason}" if result.reason else ""
    return clean(f"objective {result.slo} {result.verdict.value}{evidence}")


def _cancellation(run: Run) -> list[HeadlineFinding]:
    rows = run.cancellation.rows if run.cancellation else []
    if not rows:
        return []
    findings = []
    if unseen := sum(not row.seen for row in rows):
        words = f"upstream did not notice {unseen} of {plural(len(rows), 'abandoned stream')}"
        findings.append(HeadlineFinding(Level.BAD, words))
    worst = max((_cancel_level(row) for row in rows), key=_ORDER.index)
    late = sum(row.seen and _cancel_level(row) is worst for row in rows)
    if worst in (Level.WARN, Level.BAD) and late:
        findings.append(
            HeadlineFinding(worst, f"{late} of {plural(len(rows), 'cancellation')} took effect late or not fully")
        )
    if not findings:
        findings.append(HeadlineFinding(Level.GOOD, f"{plural(len(rows), 'cancellation')} reached upstream"))
    return findings


def _cancel_level(row: CancelRow) -> Level:
    return _CANCEL_LEVELS.get(row.verdict.lower(), Level.NOTE)


def _diagnosis(run: Run) -> list[HeadlineFinding]:
    if run.diagnosis is None:
        return []
    if run.diagnosis.buffered:
        hop = clean(run.diagnosis.hop)
        return [HeadlineFinding(Level.BAD, f"tokens are held back ({run.diagnosis.pattern.value}): {hop}")]
    return [HeadlineFinding(Level.GOOD, f"delivery is {run.diagnosis.pattern.value}")]


def _of(dist: Distribution | None, field: str) -> str:
    return dist.sign(field) + ms(getattr(dist, field)) if dist else ABSENT


def _interval(dist: Distribution | None, field: str, note: str) -> str:
    """The interval of a percentile, and a note."""
    if dist is None:
        return "no stream came so far"
    shown = show_interval(dist.intervals.get(field))
    return f"{shown} ms ({CONFIDENCE:.0%}); {note}" if shown else note


def _load_tiles(summary: Summary | None) -> list[Tile]:
    if summary is None:
        return []
    ttft, itl = summary.ttft_ms, summary.itl_ms
    total, failed = sum(summary.streams.values()), unsuccessful(summary)
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in _by_outcome(summary))
    slos = _all_of(summary.slos) if summary.slos else "share of streams ok; no SLO given"
    return [
        Tile("load", "TTFT p50", _of(ttft, "p50"), _interval(ttft, "p50", "time to first token")),
        Tile("load", "TTFT p95", _of(ttft, "p95"), _interval(ttft, "p95", "1 in 20 waited longer")),
        Tile("load", "TTFT p99", _of(ttft, "p99"), _interval(ttft, "p99", f"slowest {_of(ttft, 'max')}")),
        Tile("load", "ITL p50", _of(itl, "p50"), _interval(itl, "p50", "gap between tokens")),
        Tile("load", "ITL p99", _of(itl, "p99"), _interval(itl, "p99", f"longest {_of(itl, 'max')}")),
        Tile("load", "Tokens/s", number(summary.output_tokens_per_s), _tokens(summary)),
        Tile("load", "Failed streams", f"{failed:,} of {total:,}", ended, Level.BAD if failed else Level.GOOD),
        Tile("load", "Goodput", _goodput(summary), slos),
    ]


def _goodput(summary: Summary) -> str:
    if summary.goodput_at_most is None or summary.goodput_at_most == summary.goodput:
        return percent(summary.goodput)
    return f"{percent(summary.goodput)} to {percent(summary.goodput_at_most)}"


def _tokens(summary: Summary) -> str:
    if summary.window_tokens is None:  # a run of an earlier version
        return f"{summary.output_tokens:,} output tokens"
    return f"{summary.window_tokens:,} in {summary.window_s:,.1f} s"


def _by_outcome(summary: Summary) -> list[tuple[str, int]]:
    return sorted(summary.streams.items(), key=lambda item: (item[0] != Outcome.OK, -item[1], item[0]))


def _check_tiles(run: Run) -> list[Tile]:
    if run.checks is None:
        return []
    counts = check_counts(run)
    failed = counts.get(Verdict.FAIL, 0) + counts.get(Verdict.ERROR, 0)
    warned = counts.get(Verdict.WARN, 0)
    rest = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if verdict != Verdict.FAIL)
    level = Level.BAD if failed or (warned and run.checks.strict) else Level.WARN if warned else Level.GOOD
    value = f"{counts[Verdict.FAIL]} failed" if Verdict.FAIL in counts else "0 failed"
    return [Tile("checks", "Checks", value, rest, level)]


def _cancel_tiles(run: Run) -> list[Tile]:
    if run.cancellation is None:
        return []
    rows, worst = run.cancellation.rows, worst_delay(run)
    unseen = sum(not row.seen for row in rows)
    where = f"{worst.phase}, {worst.method}, {worst.path}" if worst else "no delay is known"
    lost = wasted(run)
    return [
        Tile(
            "cancellation",
            "Cancel, worst delay",
            "never noticed" if unseen else ms(worst.propagation_ms if worst else None),
            f"{unseen} of {len(rows)} never noticed upstream" if unseen else where,
            Level.BAD if unseen else Level.NOTE,
        ),
        Tile("cancellation", "Wasted tokens", number(lost), f"over {plural(len(rows), 'abandoned stream')}"),
    ]


def _diagnosis_tiles(run: Run) -> list[Tile]:
    if run.diagnosis is None:
        return []
    found = run.diagnosis
    note = found.hop if found.buffered else "tokens arrive as they are written"
    return [Tile("diagnosis", "Delivery", found.pattern.value, note, Level.BAD if found.buffered else Level.GOOD)]
