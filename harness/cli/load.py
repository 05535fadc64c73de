"""`streamgauge load`: users under Locust, records from every process in one run directory."""

import importlib.util
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from harness import runs
from harness.cli.console import out
from harness.cli.loading import LOG, Plan, run_load
from harness.cli.options import seconds, with_target
from harness.cli.slos import judge_slos
from harness.errors import CannotMeasure, ExitCode, UsageError
from harness.slo import parse_slo
from harness.target import Target


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
        typer.Option(
            metavar="'METRIC < LIMIT'",
            help="An objective, as 'ttft p95 < 500ms', 'itl p99.9 <= 80ms', 'error_rate < 1%', 'goodput > 95%' or "
            "'output_tokens_per_s > 1000'; repeatable.",
        ),
    ] = None,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="A file of scenarios/ without .py, or a path to a locustfile.")
    ] = "chat",
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Show this client's error floor, which calibrate wrote; --out's if there."),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Run directory; runs/load-TIME if not given.")
    ] = None,
) -> None:
    """Load an endpoint with users and measure TTFT, ITL and throughput from kernel arrival stamps.

    Examples:

      streamgauge load http://localhost:8080/v1/chat/completions --users 50 --duration 30s --out runs/first

      streamgauge calibrate --users 50 --out runs/first   (before it: shows the client's own error beside the figures)

      streamgauge load --target target.toml --users 200 --processes 2 --slo "ttft p95 < 500ms" --slo "error_rate < 1%"

    Exit codes: 0 done (and every SLO met), 1 an SLO was missed, 2 usage, 3 no token came, or an SLO had no data,
    130 interrupted: what had been measured is kept and reported.
    """
    directory = runs.prepare(out_dir or Path("runs") / f"load-{datetime.now():%Y%m%d-%H%M%S}")
    plan = Plan(
        users=users,
        length_s=seconds(duration, "--duration"),
        spawn_rate=spawn_rate,
        processes=processes,
        slos=[parse_slo(text) for text in slo or []],
        locustfile=locustfile(scenario),
        directory=directory,
        calibration=runs.calibration(calibration, directory),
    )
    totals, interrupted = run_load(target, plan)
    for path in _render(plan.directory):
        out.print(f"wrote {path}")
    if interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not totals.token_events:
        raise CannotMeasure("no token came in the whole run", f"see the outcomes above and {plan.directory / LOG}")
    judge_slos([totals.judge(item) for item in plan.slos])


def _render(directory: Path) -> list[Path]:
    from reports.render import render  # drawing takes a second to import

    return render(directory)


def locustfile(scenario: str) -> Path:
    """The file of a scenario of ours, or the path itself. Raises UsageError when there is none."""
    if scenario.endswith(".py"):
        return Path(scenario)
    spec = importlib.util.find_spec("scenarios")  # found, not imported: importing it would be fine, locust would not
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = Path(folders[0]) / f"{scenario}.py" if folders else Path("scenarios") / f"{scenario}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.py") if p.stem not in ("__init__", "streaming")))
        raise UsageError(f"no scenario {scenario!r}", f"there are: {known}; or give a path that ends in .py")
    return path
