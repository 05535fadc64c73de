"""`streamgauge load`: users under Locust, records from every process in one run directory."""

import importlib.util
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
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import typer
from rich.live import Live
from rich.table import Table

from harness import runs
from harness.cli.console import err, facts, out, safe
from harness.cli.options import seconds, with_target
from harness.client import StreamClient, not_a_stream, settle
from harness.comparison import MAX_JOINED, Comparison, Ledgered, compare
from harness.errors import CannotMeasure, ExitCode, UsageError
from harness.metrics import Distribution, Summary, Totals
from harness.slo import Slo, parse_slo
from harness.target import Target
from harness.truth import Mock

LOG: Final = "locust.log"

_TARGET_ENV: Final = "STREAMGAUGE_TARGET"
_REFRESH_S: Final = 0.5
_LINE_EVERY_S: Final = 5.0
_STOP_WAIT_S: Final = 15.0


@with_target
def load(
    target: Target,
    users: Annotated[int, typer.Option("--users", "-u", metavar="N", min=1, help="Concurrent users.")] = 10,
    duration: Annotated[str, typer.Option("--duration", "-d", metavar="DURATION", help="How long to run.")] = "30s",
    spawn_rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.01, help="Users started a second; all in the first second if not given."),
    ] = None,
    processes: Annotated[int, typer.Option(metavar="P", min=1, help="Processes that share the users.")] = 1,
    slo: Annotated[
        list[str] | None,
        typer.Option(metavar="'METRIC < LIMIT'", help="An objective, as 'ttft p95 < 500ms'; repeatable."),
    ] = None,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="A file of scenarios/ without .py, or a path to a locustfile.")
    ] = "chat",
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Run directory; runs/load-TIME if not given.")
    ] = None,
) -> None:
    """Load an endpoint with users and measure TTFT, ITL and throughput from kernel arrival stamps.

    Examples:

      streamgauge load http://localhost:8080/v1/chat/completions --users 50 --duration 30s --out runs/first

      streamgauge load --target target.toml --users 200 --processes 2 --slo "ttft p95 < 500ms" --slo "error_rate < 1%"

    Exit codes: 0 done (and every SLO met), 1 an SLO was missed, 2 usage, 3 no token came, 130 interrupted: what had
    been measured is kept and reported.
    """
    plan = Plan(
        users=users,
        length_s=seconds(duration, "--duration"),
        spawn_rate=spawn_rate,
        processes=processes,
        slos=[parse_slo(text) for text in slo or []],
        locustfile=_locustfile(scenario),
        directory=runs.prepare(out_dir or Path("runs") / f"load-{datetime.now():%Y%m%d-%H%M%S}"),
    )
    totals, interrupted = run_load(target, plan)
    for path in _render(plan.directory):
        out.print(f"wrote {path}")
    if interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not totals.token_events:
        raise CannotMeasure("no token came in the whole run", f"see the outcomes above and {plan.directory / LOG}")
    missed = [item for item in plan.slos if not totals.meets(item)]
    for item in missed:
        err.print(f"[red]SLO missed:[/red] {safe(item)}")
    if missed:
        raise typer.Exit(ExitCode.FAILED)


class Plan(NamedTuple):
    """What to run, and where its records go."""

    users: int
    length_s: float
    directory: Path
    locustfile: Path
    spawn_rate: float | None = None
    processes: int = 1
    slos: Sequence[Slo] = ()


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
    )
    runs.write(plan.directory / runs.RUN, run)
    totals = Totals(plan.slos)
    interrupted = _drive(target, plan, totals)
    run.summary = totals.summary()
    run.status = "interrupted" if interrupted else "complete"
    run.ended = datetime.now(UTC).isoformat(timespec="seconds")
    if target.mock is not None:
        run.truth = _truth(target.mock, plan.directory)
    runs.write(plan.directory / runs.RUN, run)
    print_summary(run.summary)
    if run.truth is not None:
        _print_truth(run.truth)
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
                live.update(_live_table(totals, elapsed, plan))
            elif time.monotonic() - printed >= _LINE_EVERY_S:
                printed = time.monotonic()
                err.print(_line(totals, elapsed, plan))


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


def _render(directory: Path) -> list[Path]:
    from reports.render import render  # drawing takes a second to import

    return render(directory)


def _truth(mock_url: str, directory: Path) -> Comparison:
    """Join the run's records with the mock's ledger."""
    with Mock(mock_url) as mock:
        records = list(islice((r for r in runs.RecordReader(directory) if r.token_reads), MAX_JOINED))
        known = {}
        for record in records:
            if entries := mock.entries(record.id):
                known[record.id] = Ledgered(entries[-1].arrival_ns, entries[-1].token_ns())
    return compare(records, known)


def _print_truth(truth: Comparison) -> None:
    out.print()
    if truth.ttft_error_ms is None:
        out.print("The mock's ledger knows none of these streams: is it the endpoint's upstream?")
        return
    error = truth.ttft_error_ms
    line = f"TTFT reported - true: p50 {error.p50:+.2f} ms, p99 {error.p99:+.2f} ms over {truth.streams:,} streams"
    if truth.itl_ms is not None and truth.true_itl_ms is not None:
        line += f"; ITL p50 {truth.itl_ms.p50:.2f} ms, true {truth.true_itl_ms.p50:.2f} ms"
    out.print(facts([("against the ledger", line)]))


def _locustfile(scenario: str) -> Path:
    if scenario.endswith(".py"):
        return Path(scenario)
    spec = importlib.util.find_spec("scenarios")  # found, not imported: importing it would be fine, locust would not
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = Path(folders[0]) / f"{scenario}.py" if folders else Path("scenarios") / f"{scenario}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.py") if p.stem not in ("__init__", "streaming")))
        raise UsageError(f"no scenario {scenario!r}", f"there are: {known}; or give a path that ends in .py")
    return path


def _live_table(totals: Totals, elapsed: float, plan: Plan) -> Table:
    summary = totals.summary()
    title = f"{min(elapsed, plan.length_s):.0f} of {plan.length_s:.0f} s, {plan.users} users"
    table = Table(title=title, title_justify="left")
    for column in ("streams", "failed", "TTFT p50", "TTFT p95", "ITL p50", "ITL p99", "tokens/s"):
        table.add_column(column, justify="right")
    table.add_row(*_cells(summary))
    return table


def _line(totals: Totals, elapsed: float, plan: Plan) -> str:
    names = ("streams", "failed", "TTFT p50", "p95", "ITL p50", "p99", "tokens/s")
    cells = _cells(totals.summary())
    shown = ", ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
    return f"{elapsed:.0f}/{plan.length_s:.0f} s: {shown}"


def _cells(summary: Summary) -> list[str]:
    total = sum(summary.streams.values())
    failed = total - summary.streams.get("ok", 0) - summary.streams.get("incomplete", 0)
    rate = f"{summary.output_tokens_per_s:,.0f}" if summary.output_tokens_per_s else "-"
    return [
        f"{total:,}",
        f"{failed:,}",
        _ms(summary.ttft_ms, "p50"),
        _ms(summary.ttft_ms, "p95"),
        _ms(summary.itl_ms, "p50"),
        _ms(summary.itl_ms, "p99"),
        rate,
    ]


def _ms(values: Distribution | None, name: str) -> str:
    return "-" if values is None else f"{getattr(values, name):.1f} ms"


def print_summary(summary: Summary) -> None:
    """The run in a dozen lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ms")
    for name in ("mean", "p50", "p90", "p95", "p99", "max", "count"):
        table.add_column(name, justify="right")
    for name in ("ttft", "itl", "tpot", "e2e", "client_lag"):
        values: Distribution | None = getattr(summary, f"{name}_ms")
        if values is None:
            table.add_row(name, *["-"] * 7)
        else:
            cells = [f"{getattr(values, column):,.2f}" for column in ("mean", "p50", "p90", "p95", "p99", "max")]
            table.add_row(name, *cells, f"{values.count:,}")
    out.print(table)
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.streams.items()))
    rate = f"{summary.output_tokens_per_s:,.1f} tokens/s" if summary.output_tokens_per_s else "-"
    colour = {"VALID": "green", "SUSPECT": "yellow", "INVALID": "red"}.get(summary.validity.verdict, "yellow")
    objectives = safe("; ".join(summary.slos)) or "no SLO given: every stream that is ok"
    reasons = safe("; ".join(summary.validity.reasons))
    rows = [
        ("streams", outcomes or "none"),
        ("throughput", f"{rate} over {summary.window_s:.1f} s"),
        ("goodput", "-" if summary.goodput is None else f"{summary.goodput:.1%} of streams ({objectives})"),
        ("validity", f"[{colour}]{summary.validity.verdict}[/{colour}] {reasons}"),
    ]
    out.print()
    out.print(facts(rows))
