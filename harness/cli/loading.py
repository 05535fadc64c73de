"""Runs Locust as a child process, watches the records that its processes write, and sums them up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from rich.live import Live

from harness import runs
from harness.calibration import Calibration
from harness.cli.console import err
from harness.cli.load_tables import line, live_table, print_floor, print_summary, print_truth
from harness.client import StreamClient, not_a_stream, settle
from harness.comparison import MAX_JOINED, Comparison, Ledgered, compare
from harness.errors import CannotMeasure
from harness.metrics import Totals
from harness.slo import Slo
from harness.target import Target
from harness.truth import Mock

LOG: Final = "locust.log"

_TARGET_ENV: Final = "STREAMGAUGE_TARGET"
_REFRESH_S: Final = 0.5
_LINE_EVERY_S: Final = 5.0
_STOP_WAIT_S: Final = 15.0


class Plan(NamedTuple):
    """What to run, and where its records go."""

    users: int
    length_s: float
    directory: Path
    locustfile: Path
    spawn_rate: float | None = None
    processes: int = 1
    slos: Sequence[Slo] = ()
    calibration: Calibration | None = None


def run_load(target: Target, plan: Plan) -> tuple[Totals, bool]:
    """Ask once to see that there is a stream, then run Locust; the totals, and whether the run was interrupted.

    Raises CannotMeasure when the endpoint gives no stream.
    """
    with StreamClient.to(target) as client:
        target = settle(client, target)
        first = client.run(target.request(), dialect=target.reader(), deadline_s=plan.length_s + target.timeout_s)
        if not first.is_stream:
            raise not_a_stream(first)
    run = runs.RunFile(
        command="load",
        target=target.masked_url,
        dialect=first.dialect.name if first.dialect else None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings={
            "users": plan.users,
            "duration_s": plan.length_s,
            "spawn_rate": plan.spawn_rate,
            "processes": plan.processes,
            "scenario": plan.locustfile.stem,
            "slos": [str(item) for item in plan.slos],
        },
        machine=runs.this_machine(),
        calibration=plan.calibration,
    )
    runs.write(plan.directory / runs.RUN, run)
    totals = Totals(plan.slos)
    interrupted = _drive(target, plan, totals)
    run.summary = totals.summary(runs.workers(plan.directory))
    run.status = "interrupted" if interrupted else "complete"
    run.ended = datetime.now(UTC).isoformat(timespec="seconds")
    if target.mock is not None:
        run.truth = _truth(target.mock, plan.directory)
    runs.write(plan.directory / runs.RUN, run)
    print_summary(run.summary)
    if run.truth is not None:
        print_truth(run.truth)
    if run.calibration is not None:
        print_floor(run.calibration, run.summary, plan.users)
    return totals, interrupted


def _locust_command(target: Target, plan: Plan) -> list[str]:
    spawn_rate = plan.spawn_rate or plan.users
    command = [
        sys.executable, "-m", "locust", "-f", str(plan.locustfile), "--headless", "--only-summary",
        "--host", target.url, "--users", str(plan.users), "--spawn-rate", f"{spawn_rate:g}",
        "--run-time", f"{max(round(plan.length_s), 1)}s", "--run-dir", str(plan.directory), "--exit-code-on-error", "0",
    ]  # fmt: skip
    return command + (["--processes", str(plan.processes)] if plan.processes > 1 else [])


def _drive(target: Target, plan: Plan, totals: Totals) -> bool:
    """Run Locust to its end and show what its processes record meanwhile; True when interrupted."""
    environment = {**os.environ, _TARGET_ENV: msgspec.json.encode(target).decode()}
    reader = runs.RecordReader(plan.directory)
    log_path = plan.directory / LOG
    with log_path.open("wb") as log, _terminate_as_interrupt():
        # A session of its own: Ctrl-C reaches Locust once, from here, and not from the terminal as well.
        child = subprocess.Popen(
            _locust_command(target, plan), env=environment, stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        interrupted = False
        try:
            _watch(child, reader, totals, plan)
        except KeyboardInterrupt:
            interrupted = True
            err.print("stopping: what has been measured is kept ...")
            _stop(child)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    for record in reader.new():
        totals.add(record)
    if not totals.streams and not interrupted:
        tail = log_path.read_text(errors="replace").strip().splitlines()[-3:]
        raise CannotMeasure("Locust ended without a stream: " + " | ".join(tail), f"see {log_path}")
    return interrupted


def _watch(child: "subprocess.Popen[bytes]", reader: runs.RecordReader, totals: Totals, plan: Plan) -> None:
    began = time.monotonic()
    printed = began
    with Live(console=err, refresh_per_second=4, transient=True) if err.is_terminal else _no_live() as live:
        while child.poll() is None:
            time.sleep(_REFRESH_S)
            for record in reader.new():
                totals.add(record)
            elapsed = time.monotonic() - began
            if live is not None:
                live.update(live_table(totals, elapsed, plan.users, plan.length_s))
            elif time.monotonic() - printed >= _LINE_EVERY_S:
                printed = time.monotonic()
                err.print(line(totals, elapsed, plan.length_s))


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


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_STOP_WAIT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _truth(mock_url: str, directory: Path) -> Comparison:
    """Join the run's records with the mock's ledger."""
    with Mock(mock_url) as mock:
        records = list(islice((r for r in runs.RecordReader(directory) if r.token_reads), MAX_JOINED))
        known = {}
        for record in records:
            if entries := mock.entries(record.id):
                known[record.id] = Ledgered(entries[-1].arrival_ns, entries[-1].token_ns())
    return compare(records, known)
