"""Runs a load: first one stream as a test, then Locust in a child process, then the figures.

Nothing is printed here: progress goes to a callback, and the result is a value.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.endpoint.client import StreamClient, not_a_stream, settle
from streamgauge.endpoint.credentials import without_key
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.stream_end import StreamEnd, learn_end
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.upstream import UpstreamWatch, marked
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.loadgen.drive import drive
from streamgauge.loadgen.ledger import abandoned_streams, measured_against_truth
from streamgauge.loadgen.locust_log import task_errors
from streamgauge.loadgen.locust_process import LOG
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.progress import LoadProgress, silent
from streamgauge.loadgen.prompts.options import check_place
from streamgauge.loadgen.result import Ended, LoadResult
from streamgauge.loadgen.sample_size import check_classes, expected
from streamgauge.loadgen.scenario_files import is_named
from streamgauge.loadgen.traces.timetable import planned_turns
from streamgauge.metrics.concurrency import alone
from streamgauge.metrics.openloop import OpenLoop, judge_open_loop
from streamgauge.metrics.reading import reading_caveats
from streamgauge.metrics.sessions import Sessions, sessions_of
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Ends
from streamgauge.protocol.record import record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import faults, losses, readers
from streamgauge.rundir.claim import must_be_free
from streamgauge.serverlane.lane import ServerLane, summary
from streamgauge.serverlane.samples import read_samples
from streamgauge.serverlane.scrape import Scraper, Source
from streamgauge.units import MS

_DECIDING_STREAMS: Final = 3
_MISREAD_SHARE: Final = 0.01  # of streams with a token before the mock wrote one; fewer are only a caveat
_LAST_MOMENT_NS: Final = 100 * MS
"""Arrivals due within this time before a run was cut short do not count as missing."""


def run_load(target: Target, plan: LoadPlan, progress: LoadProgress = silent) -> LoadResult:
    """Run the plan to its end, or until a limit, a fault or Ctrl-C stops it; what was measured by then is kept.

    Raises CannotMeasure when the endpoint gives no stream, and when the mock does not answer or is not the endpoint's
    upstream. Raises UsageError when the plan does not fit the target, when the directory cannot be written, and when
    another run writes there. Until then, an earlier run in the directory stays.
    """
    must_be_free(plan.directory)  # before the endpoint is asked for anything
    if is_named(plan.locustfiles[0]):
        check_classes(plan.workload, plan.slos, plan.prompts)
    source = None if plan.server_metrics is None else Source(target, plan.server_metrics)
    target, first, end = _first_stream(target, plan)
    with runs.claimed(plan.directory) as claim, _spool() as spool:
        run = _manifest(target, plan, first, end)
        runs.write(plan.directory / runs.RUN, run)
        totals = Totals(plan.slos, reading_doubt=run.dialect_doubt, spool=spool, changes=plan.workload.changes)
        prompts = plan.prompts if is_named(plan.locustfiles[0]) else None
        if (sample := expected(plan.workload, plan.slos, run.alone, prompts)) is not None:
            progress(sample)
        with nullcontext() if source is None else Scraper(source, plan.directory) as scraper:
            ended = drive(target, plan, totals, claim, progress)
        run.server = None if scraper is None else _server(scraper, plan.directory, totals)
        _conclude(run, target, plan, totals, ended)
        unwritten = None if claim.lost else _unwritten(run, plan.directory)
    return LoadResult(plan.directory, run, totals, ended, unwritten)


@contextmanager
def _spool() -> Iterator[RawIOBase | None]:
    """An unnamed file, so that nothing of it stays behind; None on a machine without room for one."""
    try:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it is closed below)
    except OSError:
        yield None
        return
    with file:
        yield file


def _first_stream(target: Target, plan: LoadPlan) -> tuple[Target, Transcript, StreamEnd]:
    """Look for mistakes before an earlier run is removed. Returns the settled target, one stream of it, and how its
    streams end.
    """
    if plan.cluster is not None:
        without_key(target)  # raises when the target has a secret that must not be sent to workers
    with ExitStack() as stack:
        mock = stack.enter_context(MockControl.of(target)) if target.mock is not None else None
        watch = None if mock is None else UpstreamWatch.begin(mock)
        client = stack.enter_context(StreamClient.to(target))
        target = settle(client, target)
        check_place(target, plan.prompts, plan.workload.recorded())
        spec, stream_id = (target.request(), "") if watch is None else marked(target)
        first = _deciding_stream(client, target, spec, plan.length_s + target.timeout_s)
        if not first.is_stream:
            raise not_a_stream(first)
        if watch is not None:
            watch.must_have_seen(stream_id)
        target = target.answering_in(first.dialect)
        end = learn_end(Ends(target.end), first, lambda: _another(client, target, plan))
    return msgspec.structs.replace(target, end=end.ends.value), first, end


def _another(client: StreamClient, target: Target, plan: LoadPlan) -> Transcript:
    return client.run(target.request(), dialect=target.reader(), deadline_s=plan.length_s + target.timeout_s)


def _deciding_stream(client: StreamClient, target: Target, spec: RequestSpec, deadline_s: float) -> Transcript:
    """A stream that decides the dialect of the run. A stream of errors decides nothing, so a few are tried."""
    for _ in range(_DECIDING_STREAMS):
        stream = client.run(spec, dialect=target.reader(), deadline_s=deadline_s)
        if stream.dialect is not None or not stream.is_stream:
            break
    return stream


def _manifest(target: Target, plan: LoadPlan, first: Transcript, end: StreamEnd) -> runs.RunFile:
    """run.json before there are figures."""
    return runs.RunFile(
        command="load",
        target=target.masked_url,
        dialect=first.dialect.name if first.dialect else None,
        dialect_reason=first.dialect_rule,
        dialect_doubt=first.dialect_doubt,
        end=end.ends,
        end_reason=end.reason,
        alone=alone(record_of(first, "alone", url=target.masked_url)),
        caveats=[
            *reading_caveats(first, record_of(first, "first", url=target.masked_url)),
            *([end.caveat] if end.caveat else []),
        ],
        started=_now(),
        settings=plan.settings(),
        machine=runs.this_machine(),
        calibration=plan.calibration,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _conclude(run: runs.RunFile, target: Target, plan: LoadPlan, totals: Totals, ended: Ended) -> None:
    """Fill in the figures of the run, and the caveats that a reader of them must know.

    The figures come last, because the ledger can show that the streams were read wrongly.
    """
    rows = runs.workers(plan.directory)
    run.status = ended.status
    run.workers = list(ended.accounts)
    run.reader = readers(run.workers)
    run.caveats += losses(run.workers)
    run.faults = [*ended.faults, *faults(run.workers), *totals.faults]
    if held := sum(row.held for row in rows):
        run.caveats.append(
            f"{held:,} times a user had to wait until this client had recorded finished streams: the load was smaller"
        )
    if raised := task_errors(plan.directory / LOG):
        run.caveats.append(raised)
    run.ended = _now()
    run.most_open = totals.intervals.most_open
    run.one_at_a_time = totals.intervals.one_at_a_time(run.alone.ttft_ns if run.alone else None)
    run.sessions = totals.sessions = _sessions(plan)
    run.open_loop = _open_loop(plan, totals, ended, run.sessions.waiting if run.sessions is not None else 0)
    if run.open_loop is not None and run.open_loop.caveat:
        run.caveats.append(run.open_loop.caveat)
    try:
        if target.mock is not None:
            run.truth = measured_against_truth(target, plan.directory)
            run.caveats += [run.truth.caveat] if run.truth.caveat else []
        if plan.workload.abandon is not None or any(request.leave for request in plan.workload.recorded()):
            run.abandonment = abandoned_streams(target, plan.directory)
    except CannotMeasure as error:
        run.caveats.append(f"The ledger was not joined: {error.message}")
    totals.reading_doubt = _misread(run)
    run.summary = totals.summary(rows, faults=run.faults)


def _server(scraper: Scraper, directory: Path, totals: Totals) -> ServerLane:
    """The server's own figures in the measured window."""
    window = None if totals.window is None else (totals.window.begin_ns, totals.window.end_ns)
    return summary(
        scraper.source.masked_url,
        scraper.source.engine.name,
        scraper.source.engine.trap,
        read_samples(directory),
        window=window,
        open_mean=None if window is None else totals.intervals.mean_open(*window),
        first_tokens_per_s=None if window is None else totals.intervals.first_tokens_per_s(*window),
        failed=scraper.failed,
        failure=scraper.failure,
    )


def _misread(run: runs.RunFile) -> str | None:
    """Why the streams were not read with certainty; None when they were."""
    if run.dialect_doubt is not None:
        return run.dialect_doubt
    if run.truth is None or run.truth.too_early < _MISREAD_SHARE * run.truth.streams:
        return None
    return run.truth.caveat


def _sessions(plan: LoadPlan) -> Sessions | None:
    """The figures of the conversations, where there can be any: in a trace, or in a scenario of the user's own."""
    recorded = plan.workload.recorded()
    if any(request.session for request in recorded) or not is_named(plan.locustfiles[0]):
        in_window = () if plan.workload.trace.is_cut else recorded
        return sessions_of(runs.RecordReader(plan.directory), planned_turns(in_window))
    return None


def _open_loop(plan: LoadPlan, totals: Totals, ended: Ended, waiting: int) -> OpenLoop | None:
    """How well the run kept its schedule, up to the moment at which it ended or was cut short.

    `waiting` turns of sessions were not due at a time of the schedule, but when the turn before them had ended.
    """
    workload = plan.workload
    if not workload.is_open:
        return None
    length_ns = workload.length_ns
    if ended.at_ns is not None and totals.first_intended_ns is not None:
        length_ns = min(max(ended.at_ns - _LAST_MOMENT_NS - totals.first_intended_ns, 0), length_ns)
    planned = sum(arrival.at_ns < length_ns for arrival in workload.arrivals()) + waiting
    return judge_open_loop(
        totals,
        planned,
        length_ns,
        model=workload.model,
        max_streams=workload.max_streams,
        processes=workload.processes,
    )


def _unwritten(run: runs.RunFile, directory: Path) -> UsageError | None:
    """Write run.json; the error when that fails. Not raised: the figures cannot be measured again."""
    try:
        runs.write(directory / runs.RUN, run)
    except UsageError as error:
        return error
    return None
