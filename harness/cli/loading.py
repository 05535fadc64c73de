"""Runs Locust as a child process, watches the records that its processes write, and sums them up."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from rich.live import Live

from streamgauge.cli.console import err, safe
from streamgauge.cli.distributed import WORKERS_WAIT_S, Cluster, locust_options
from streamgauge.cli.load_tables import (
    line,
    live_table,
    print_abandonment,
    print_failures,
    print_floor,
    print_open_loop,
    print_summary,
    print_truth,
)
from streamgauge.cli.locust_log import task_errors, why_it_ended
from streamgauge.cli.prompt_options import check_place
from streamgauge.diagnosis.abandonment import Abandonment, abandonment
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.client import StreamClient, not_a_stream, settle
from streamgauge.endpoint.credentials import without_key
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.loadgen.prompts import PromptSource
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.abort_rules import AbortRule, AbortWatch
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.comparison import MAX_JOINED, Comparison, Ledgered, compare_with_ledger
from streamgauge.metrics.definitions import NEUTRAL
from streamgauge.metrics.openloop import OpenLoop, judge_open_loop
from streamgauge.metrics.slo import Slo
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import clock_lines, losses, read_accounts
from streamgauge.units import MS, SECOND, plural

LOG: Final = "locust.log"

_TARGET_ENV: Final = "STREAMGAUGE_TARGET"
_PARENT_ENV: Final = "STREAMGAUGE_PARENT"
_WORKLOAD_ENV: Final = "STREAMGAUGE_WORKLOAD"
_SHIP_ENV: Final = "STREAMGAUGE_SHIP"
_SCENARIOS_ENV: Final = "STREAMGAUGE_SCENARIOS"
_PROMPTS_ENV: Final = "STREAMGAUGE_PROMPTS"
_REFRESH_S: Final = 0.5
_LINE_EVERY_S: Final = 5.0
_STOP_WAIT_S: Final = 15.0
_SHIPPED_WAIT_S: Final = 600.0  # for workers on other machines to send what they still have
_LEDGER_WAIT_S: Final = 10.0
"""For upstreams that go on after their user has left: what they write meanwhile is waste that has to be counted."""
_LAST_MOMENT_NS: Final = 100 * MS
"""Before a run is cut short: who was to arrive in it cannot be blamed for not being there."""
_GRACE_S: Final = 5.0
"""After the processes should have ended the run themselves."""


class Plan(NamedTuple):
    """What to run, when to give up on it, and where its records go."""

    workload: Workload
    directory: Path
    locustfiles: Sequence[Path]
    prompts: PromptSource
    slos: Sequence[Slo] = ()
    max_errors: int | None = None
    abort_rules: Sequence[AbortRule] = ()
    cluster: Cluster | None = None
    calibration: Calibration | None = None

    @property
    def length_s(self) -> float:
        return self.workload.length_ns / SECOND


class Ended(NamedTuple):
    """How a run ended before its time: by Ctrl-C, or because a limit was passed."""

    interrupted: bool = False
    stopped: str | None = None
    at_ns: int | None = None

    @property
    def status(self) -> str:
        return "interrupted" if self.interrupted else f"stopped: {self.stopped}" if self.stopped else "complete"


def run_load(target: Target, plan: Plan) -> tuple[Totals, Ended]:
    """Ask once to see that there is a stream, then run Locust; the totals, and how the run ended.

    Raises CannotMeasure when the endpoint gives no stream or the mock does not answer, and UsageError when it cannot
    be asked as planned, or the run not be written. Until the run begins, an earlier one in its directory stays.
    """
    if plan.cluster is not None:
        without_key(target)  # what may not be sent is said before anything is
    if target.mock is not None:
        with MockControl.of(target) as mock:
            mock.clock()
    with StreamClient.to(target) as client:
        target = settle(client, target)
        replayed = plan.workload.arrivals() if plan.workload.replay is not None else ()
        check_place(target, plan.prompts, with_length=any(arrival.output_tokens for arrival in replayed))
        first = client.run(target.request(), dialect=target.reader(), deadline_s=plan.length_s + target.timeout_s)
        if not first.is_stream:
            raise not_a_stream(first)
    runs.prepare(plan.directory)
    run = runs.RunFile(
        command="load",
        target=target.masked_url,
        dialect=first.dialect.name if first.dialect else None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings={
            "load": plan.workload.model,
            **_settings(plan.workload),
            **({"expect_workers": plan.cluster.workers} if plan.cluster else {}),
            "scenario": plan.locustfiles[0].stem,
            "prompts": plan.prompts.plan.settings(),
            "slos": [str(item) for item in plan.slos],
            "max_errors": plan.max_errors,
            "abort_if": [str(item) for item in plan.abort_rules],
        },
        machine=runs.this_machine(),
        calibration=plan.calibration,
    )
    runs.write(plan.directory / runs.RUN, run)
    totals = Totals(plan.slos)
    ended = _drive(target, plan, totals)
    run.summary = totals.summary(runs.workers(plan.directory))
    run.status = ended.status
    run.workers = read_accounts(plan.directory)
    run.caveats += losses(run.workers)
    if raised := task_errors(plan.directory / LOG):
        run.caveats.append(raised)
    run.ended = datetime.now(UTC).isoformat(timespec="seconds")
    run.open_loop = _open_loop(plan.workload, totals, ended)
    if run.open_loop is not None and run.open_loop.caveat:
        run.caveats.append(run.open_loop.caveat)
    try:
        if target.mock is not None:
            run.truth = _truth(target, plan.directory)
        if plan.workload.abandon is not None:
            run.abandonment = _abandoned(target, plan.directory)
    except CannotMeasure as error:
        run.caveats.append(f"The ledger was not joined: {error.message}")
    unwritten = _written(run, plan.directory)
    print_summary(run.summary)
    print_failures(totals.failures)
    if run.open_loop is not None:
        print_open_loop(run.open_loop)
    if run.abandonment is not None:
        print_abandonment(run.abandonment)
    for text in clock_lines(run.workers):
        err.print(safe(text))
    for text in run.caveats:
        if run.open_loop is None or text != run.open_loop.caveat:  # that one has a line of its own
            err.print(f"[yellow]caveat:[/yellow] {safe(text)}")
    if run.truth is not None:
        print_truth(run.truth)
    if run.calibration is not None:
        users = None if plan.workload.is_open or plan.workload.stages else plan.workload.users
        print_floor(run.calibration, run.summary, users)
    if unwritten is not None:
        raise unwritten
    return totals, ended


def _written(run: runs.RunFile, directory: Path) -> UsageError | None:
    """What kept the run from being written, to be said after its figures: they are not measured again."""
    try:
        runs.write(directory / runs.RUN, run)
    except UsageError as error:
        return error
    return None


def _settings(workload: Workload) -> dict[str, Any]:
    """The load model as the manifest shows it: what was not asked for is left out."""
    settings = {
        "users": None if workload.is_open or workload.stages else workload.users,
        "duration_s": workload.length_ns / SECOND,
        "warmup_s": workload.warmup_ns / SECOND or None,
        "drain_s": workload.drain_ns / SECOND or None,
        "spawn_rate": workload.spawn_rate,
        "processes": workload.processes,
        "seed": workload.seed,
        "max_streams": workload.max_streams,
        "think": msgspec.to_builtins(workload.think),
        "abandon": msgspec.to_builtins(workload.abandon),
        "replay": workload.replay,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _locust_command(target: Target, plan: Plan) -> list[str]:
    workload = plan.workload
    command = [
        sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", target.url,
        "--run-dir", str(plan.directory), "--exit-code-on-error", "0", "-f", ",".join(map(str, plan.locustfiles)),
    ]  # fmt: skip
    if not workload.stages:  # those are a shape, which Locust does not mix with --users
        users = workload.processes if workload.is_open else workload.users
        # The processes end the run themselves, to the millisecond; Locust counts whole seconds.
        longest_s = math.ceil((workload.length_ns + workload.drain_ns) / SECOND + _GRACE_S)
        command += ["--users", str(users), "--spawn-rate", f"{workload.spawn_rate or users:g}"]
        command += ["--run-time", f"{longest_s}s"]
    return command + locust_options(plan.cluster, workload.processes)


def _drive(target: Target, plan: Plan, totals: Totals) -> Ended:
    """Run Locust to its end and show what its processes record meanwhile."""
    environment = {
        **os.environ,
        _TARGET_ENV: msgspec.json.encode(target).decode(),
        _PARENT_ENV: str(os.getpid()),
        _WORKLOAD_ENV: msgspec.json.encode(plan.workload).decode(),
        _PROMPTS_ENV: msgspec.json.encode(plan.prompts.plan).decode(),
    }
    stop_wait_s = _STOP_WAIT_S
    if plan.cluster is not None:
        # The master makes no stream itself, so it need not know the key either.
        environment[_TARGET_ENV] = msgspec.json.encode(without_key(target)).decode()
        environment |= {_SHIP_ENV: "1", _SCENARIOS_ENV: ",".join(path.stem for path in plan.locustfiles)}
        stop_wait_s = _SHIPPED_WAIT_S
        err.print(
            f"waiting for {plural(plan.cluster.workers, 'worker')}; on each machine: {safe(plan.cluster.join_command)}"
        )
    reader = runs.RecordReader(plan.directory)
    log_path = plan.directory / LOG
    with log_path.open("wb") as log, _terminate_as_interrupt():
        # A session of its own: Ctrl-C reaches Locust once, from here, and not from the terminal as well.
        child = subprocess.Popen(
            _locust_command(target, plan), env=environment, stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        ended = Ended()
        try:
            if reason := _watch(child, reader, totals, plan):
                ended = Ended(stopped=reason, at_ns=time.time_ns())
                err.print(f"stopping, {safe(reason)}: what has been measured is kept ...")
                _stop(child, stop_wait_s)
        except KeyboardInterrupt:
            ended = Ended(interrupted=True, at_ns=time.time_ns())
            err.print("stopping: what has been measured is kept ...")
            _stop(child, stop_wait_s)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    for _ in _added(reader, totals, plan.directory):
        pass
    if totals.window is not None and ended.at_ns is not None:
        totals.window = totals.window.until(totals.last_ns or ended.at_ns)  # what still came was counted too
        runs.write_window(plan.directory, totals.window)
    if plan.cluster is not None and totals.window is None and not ended.interrupted:
        raise CannotMeasure(
            f"{_before(plan)} after {WORKERS_WAIT_S} s", f"on each machine run: {plan.cluster.join_command}"
        )
    if not totals.started and not ended.interrupted:
        raise CannotMeasure(f"Locust ended without a stream: {why_it_ended(log_path)}", f"see {log_path}")
    return ended


def _added(reader: runs.RecordReader, totals: Totals, directory: Path) -> Iterator[StreamRecord]:
    """The records that are new, each counted. What is measured has been decided before there is one."""
    totals.window = totals.window or runs.window(directory)
    for record in reader.new():
        totals.add(record)
        yield record


def _watch(child: "subprocess.Popen[bytes]", reader: runs.RecordReader, totals: Totals, plan: Plan) -> str | None:
    """Follow the run to its end, or until a limit is passed: the reason to stop it."""
    watches = [AbortWatch(rule) for rule in plan.abort_rules]
    failed = 0
    printed = time.monotonic()
    with Live(console=err, refresh_per_second=4, transient=True) if err.is_terminal else _no_live() as live:
        while child.poll() is None:
            time.sleep(_REFRESH_S)
            for record in _added(reader, totals, plan.directory):
                failed += record.outcome not in NEUTRAL
                for watch in watches:
                    watch.add(record)
            if reason := runs.no_room(plan.directory):
                return reason
            if plan.max_errors is not None and failed >= plan.max_errors:
                return f"{failed:,} streams failed (--max-errors {plan.max_errors})"
            for watch in watches:
                if reason := watch.tripped(time.time_ns()):
                    return reason
            if live is not None:
                live.update(live_table(totals, plan.workload, time.time_ns(), _before(plan)))
            elif time.monotonic() - printed >= _LINE_EVERY_S:
                printed = time.monotonic()
                err.print(line(totals, plan.workload, time.time_ns(), _before(plan)))
    return None


def _before(plan: Plan) -> str:
    """What a run that has not begun waits for."""
    if plan.cluster is None:
        return "starting"
    return f"{len(read_accounts(plan.directory))} of {plural(plan.cluster.workers, 'worker')} here"


def _open_loop(workload: Workload, totals: Totals, ended: Ended) -> OpenLoop | None:
    """What became of the schedule, up to the moment when the run was cut short if it was."""
    if not workload.is_open:
        return None
    length_ns = workload.length_ns
    if ended.at_ns is not None and totals.first_intended_ns is not None:
        length_ns = min(max(ended.at_ns - _LAST_MOMENT_NS - totals.first_intended_ns, 0), length_ns)
    planned = sum(arrival.at_ns < length_ns for arrival in workload.arrivals())
    return judge_open_loop(totals, planned, length_ns, model=workload.model, max_streams=workload.max_streams)


@contextmanager
def _no_live() -> Iterator[None]:
    yield None


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: with its records and its report."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(child: "subprocess.Popen[bytes]", wait_s: float) -> None:
    """Ask it to end, and end it when it does not, or when the user is asked to wait too long."""
    # Not SIGINT: in the background of a script that is ignored, here and in every child.
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(wait_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with suppress(ProcessLookupError):  # it may have ended just then
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _truth(target: Target, directory: Path) -> Comparison:
    """Join the run's records with the mock's ledger."""
    with MockControl.of(target) as mock:
        records = list(islice((r for r in runs.RecordReader(directory) if r.token_reads), MAX_JOINED))
        known = {}
        for record in records:
            if entries := mock.entries(record.id):
                known[record.id] = Ledgered(entries[-1].arrival_ns, entries[-1].token_ns())
    return compare_with_ledger(records, known)


def _abandoned(target: Target, directory: Path) -> Abandonment | None:
    """What became of the streams that users left; with a mock, joined with its ledger."""
    if target.mock is None:
        return abandonment(runs.RecordReader(directory), {})
    left = (record.id for record in runs.RecordReader(directory) if record.outcome is Outcome.CANCELLED)
    known = {}
    until_s = time.monotonic() + _LEDGER_WAIT_S
    with MockControl.of(target) as mock:
        offset = mock.clock()
        for stream_id in islice(left, MAX_JOINED):
            wait_s = max(until_s - time.monotonic(), 0)
            if upstream := upstream_of(mock.entries(stream_id, wait_s=wait_s), offset):
                known[stream_id] = upstream
    return abandonment(runs.RecordReader(directory), known)
