"""Reads a run directory. Every file is optional: a report leaves out the section of a missing file."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamgauge.conformance.result import ChecksFile
from streamgauge.diagnosis.cancellation import CancellationFile
from streamgauge.diagnosis.patterns import DiagnosisFile
from streamgauge.errors import UsageError
from streamgauge.metrics.concurrency import OneAtATime
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.sessions import sessions_of
from streamgauge.metrics.slo import SloResult, counted, parse_slo
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.reports.streams import Streams, collect
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import faults, last_sign_ns, read_accounts
from streamgauge.rundir.runs import RunFile
from streamgauge.serverlane.lane import Sample
from streamgauge.serverlane.samples import read_samples

_HINT: Final = "give the directory that load, check, cancel or diagnose wrote with --out"


@dataclass(frozen=True, slots=True)
class Run:
    """The contents of a run directory. `recomputed`: the summary comes from the records, not from run.json."""

    manifest: RunFile | None
    summary: Summary | None
    recomputed: bool
    unread_slos: list[str]
    streams: Streams | None
    checks: ChecksFile | None
    cancellation: CancellationFile | None
    diagnosis: DiagnosisFile | None
    server: Sequence[Sample] = ()

    @property
    def slos(self) -> list[SloResult]:
        """The verdict on each objective."""
        return self.summary.slo_results if self.summary else []

    @property
    def faults(self) -> list[str]:
        """What went wrong with the processes of the load."""
        return self.manifest.faults if self.manifest else []

    @property
    def one_at_a_time(self) -> OneAtATime | None:
        """The finding that the endpoint serves one stream at a time."""
        if not self.recomputed or self.streams is None:
            return self.manifest.one_at_a_time if self.manifest else None
        alone = self.manifest.alone if self.manifest else None
        return self.streams.totals.intervals.one_at_a_time(alone.ttft_ns if alone else None)

    @property
    def target(self) -> str:
        """The endpoint, from the first file that names it."""
        if self.manifest:
            return self.manifest.target
        if self.checks:
            return self.checks.target
        if self.cancellation:
            return self.cancellation.target
        if self.streams and self.streams.url:
            return self.streams.url
        return self.diagnosis.paths[-1].url if self.diagnosis and self.diagnosis.paths else "unknown target"

    @property
    def dialect(self) -> str | None:
        if self.manifest and self.manifest.dialect:
            return self.manifest.dialect
        if self.checks and self.checks.dialect:
            return self.checks.dialect
        return ", ".join(self.streams.dialects) if self.streams and self.streams.dialects else None

    @property
    def started(self) -> str | None:
        for part in (self.manifest, self.checks, self.cancellation, self.diagnosis):
            if part is not None:
                return part.started
        return None


def load(directory: Path) -> Run:
    """Read `directory`. Raises UsageError when it does not exist or holds no file of a run."""
    try:
        is_directory = stat.S_ISDIR(directory.stat().st_mode)
    except FileNotFoundError:
        raise UsageError(f"run directory {directory} does not exist", _HINT) from None
    except OSError as error:
        raise UsageError(f"run directory {directory} cannot be read: {error.strerror}", _HINT) from None
    if not is_directory:
        raise UsageError(f"{directory} is a file, not a run directory", _HINT)
    manifest = runs.read_file(directory / runs.RUN, RunFile)
    slos, unread = _objectives(manifest)
    streams = collect(directory, slos, manifest.dialect_doubt if manifest else None, _changes(manifest))
    summary = manifest.summary if manifest else None
    recomputed = summary is None and streams is not None and streams.count > 0
    if recomputed and streams is not None:
        summary = _recomputed(directory, streams.totals, manifest)
    run = Run(
        manifest=manifest,
        summary=summary,
        recomputed=recomputed,
        unread_slos=unread if recomputed else [],
        streams=streams,
        checks=runs.read_file(directory / runs.CHECKS, ChecksFile),
        cancellation=runs.read_file(directory / runs.CANCELLATION, CancellationFile),
        diagnosis=runs.read_file(directory / runs.DIAGNOSIS, DiagnosisFile),
        server=list(read_samples(directory)) if manifest and manifest.server else (),
    )
    if not any((run.manifest, run.streams, run.checks, run.cancellation, run.diagnosis)):
        names = ", ".join((runs.RUN, runs.STREAMS, runs.CHECKS, runs.CANCELLATION, runs.DIAGNOSIS))
        raise UsageError(f"{directory} holds no run: {names} are all missing or empty", _HINT)
    return run


def _changes(manifest: RunFile | None) -> str | None:
    """How the plan of the run changed its load."""
    found = manifest.settings.get("changes") if manifest else None
    return found if isinstance(found, str) else None


def _recomputed(directory: Path, totals: Totals, manifest: RunFile | None) -> Summary:
    """The figures of the records, where the command that asked for them has not computed any."""
    accounts = read_accounts(directory)
    last_ns = last_sign_ns(accounts)
    if totals.window is not None and last_ns is not None:
        totals.window = totals.window.until(max(totals.last_ns or 0, last_ns))
    if any(counted(slo) == "session" for slo in totals.slos):
        totals.sessions = sessions_of(runs.RecordReader(directory))
    unfinished = [f"the run did not finish (status: {manifest.status})"] if manifest else []
    return totals.summary(runs.workers(directory), faults=[*unfinished, *faults(accounts), *totals.faults])


def _objectives(manifest: RunFile | None) -> tuple[list[Condition], list[str]]:
    """The objectives of the run, and the texts that are not objectives: these do not prevent a report."""
    texts: Any = manifest.settings.get("slos") if manifest else None
    slos, unread = [], []
    for text in texts if isinstance(texts, list) else []:
        try:
            slos.append(parse_slo(str(text)))
        except UsageError:
            unread.append(str(text))
    return slos, unread
