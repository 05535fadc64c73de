"""`streamgauge calibrate`: the error of this client on this machine at a planned load, against the mock's ledger."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from streamgauge.cli.children import child
from streamgauge.cli.console import err, facts, out, safe
from streamgauge.cli.load_output import print_result, shown
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, ExitCode, UsageError
from streamgauge.loadgen.load import load
from streamgauge.loadgen.locust_process import LOG
from streamgauge.metrics.calibration import Calibration, calibration_lines, floor_of
from streamgauge.rundir import runs
from streamgauge.rundir.default_directory import default_directory
from streamgauge.units import SECOND, parse_bounded, parse_duration
from streamgauge.version import __version__

_PATH: Final = "/v1/chat/completions"


def calibrate(
    users: Annotated[
        int, typer.Option("--users", "-u", metavar="N", min=1, help="Concurrent users of the planned load.")
    ] = 50,
    itl: Annotated[str, typer.Option(metavar="DURATION", help="Time between two tokens of a stream.")] = "20ms",
    tokens: Annotated[int, typer.Option(metavar="N", min=2, help="Tokens in a stream.")] = 100,
    ttft: Annotated[str, typer.Option(metavar="DURATION", help="Time to the first token.")] = "200ms",
    duration: Annotated[str, typer.Option("--duration", "-d", metavar="DURATION", help="How long to run.")] = "10s",
    processes: Annotated[int, typer.Option(metavar="P", min=1, help="Processes that share the users.")] = 1,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Directory for calibration.json. Default: runs/calibration-TIME-ID."),
    ] = None,
) -> None:
    """Measure the error of this client on this machine at a planned load, against a mock that knows the true times.

    It starts a mock, loads it as `load` does, and compares the records with the mock's ledger. It writes the error
    floor to calibration.json in --out, and the run itself to calibration/ beside it. `load` shows the floor beside
    its figures when it gets --calibration DIR or the same --out.

    Examples:

      streamgauge calibrate --users 200 --itl 20ms --tokens 100

      streamgauge calibrate --users 50 --out runs/a && streamgauge load --target target.toml --users 50 --out runs/a

    Exit codes: 0 this client can carry the load (VALID), 1 it cannot, 2 usage, 3 could not measure, 130 interrupted.
    """
    _check_lengths(duration, ttft, itl, tokens)
    directory = out_dir or default_directory("calibration")
    runs.must_take_a_run(directory)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with child("mock", "--ttft", ttft, "--itl", itl, "--tokens", str(tokens)) as mock:
        with shown() as progress:
            result = load(
                Target(url=mock + _PATH, mock=mock),
                users=users,
                duration=duration,
                processes=processes,
                directory=directory / runs.CALIBRATION_RUN,
                progress=progress,
            )
        print_result(result)
    if result.unwritten is not None:
        raise result.unwritten
    if result.ended.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if result.run.faults:
        raise CannotMeasure(f"this was not the load that you asked for: {'; '.join(result.run.faults)}", "run it again")
    truth = result.run.truth
    if truth is None or truth.ttft_error_ms is None:
        raise CannotMeasure("no stream could be compared with the ledger", f"see {result.directory / LOG}")
    machine = runs.this_machine()
    floor = floor_of(
        result.summary,
        truth,
        streamgauge=__version__,
        started=started,
        machine=f"{machine.system}, Python {machine.python}, CPUs: {machine.cpus}",
        users=users,
        processes=processes,
        ttft=ttft,
        itl=itl,
        tokens=tokens,
    )
    path = directory / runs.CALIBRATION
    runs.write(path, floor)
    _print(floor)
    out.print(f"wrote {safe(path)}")
    if floor.validity.verdict != "VALID":
        err.print(f"[red]This client cannot carry that load:[/red] it is {floor.validity.verdict}")
        raise typer.Exit(ExitCode.FAILED)


def _check_lengths(duration: str, ttft: str, itl: str, tokens: int) -> None:
    """Raises UsageError when too few streams would end within the duration."""
    length_s = parse_bounded(duration, "--duration") / SECOND
    stream_s = (parse_duration(ttft, "--ttft") + (tokens - 1) * parse_duration(itl, "--itl")) / SECOND
    if length_s < 1.5 * stream_s:
        raise UsageError(
            f"a stream of {tokens} tokens takes {stream_s:.1f} s, and --duration is {duration}",
            f"write --duration {2 * stream_s:.0f}s or more, or fewer --tokens",
        )


def _print(floor: Calibration) -> None:
    out.print()
    out.print("[bold]error floor of this client[/bold]")
    out.print(facts(calibration_lines(floor)))
