"""`streamgauge load`: a load model under Locust, records from every process in one run directory."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streamgauge.cli.console import err, out, safe
from streamgauge.cli.distributed import with_cluster
from streamgauge.cli.load_model import with_workload
from streamgauge.cli.load_output import print_result, shown
from streamgauge.cli.options import with_target
from streamgauge.cli.prompt_options import with_prompts
from streamgauge.cli.slos import judge_slos
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, ExitCode, UsageError
from streamgauge.loadgen.cluster import Cluster
from streamgauge.loadgen.locust_process import LOG
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.prompts import PromptPlan, source
from streamgauge.loadgen.run import run_load
from streamgauge.loadgen.scenario_files import locustfiles
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.abort_rules import parse_abort
from streamgauge.metrics.slo import parse_slo
from streamgauge.rundir import runs


@with_cluster
@with_target
@with_workload
@with_prompts
def load(
    target: Target,
    workload: Workload,
    prompts: PromptPlan,
    slo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC < LIMIT'",
            help="An objective, as 'ttft p95 < 500ms', 'itl p99.9 <= 80ms', 'error_rate < 1%', 'goodput > 95%' or "
            "'output_tokens_per_s > 1000'; repeatable.",
        ),
    ] = None,
    max_errors: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop the run when so many streams have failed.")
    ] = None,
    abort_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC > LIMIT for WINDOW'",
            help="Stop the run when this holds over the last WINDOW, as 'ttft p95 > 2s for 10s'; repeatable.",
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A file of scenarios/ without .py, or a path to a locustfile; chat, or open for an open loop.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Show this client's error floor, which calibrate wrote; --out's if there."),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Run directory; runs/load-TIME if not given.")
    ] = None,
    cluster: Cluster | None = None,
) -> None:
    """Load an endpoint with users or arrivals and measure TTFT, ITL and throughput from kernel arrival stamps.

    Examples:

      streamgauge load http://localhost:8080/v1/chat/completions --users 50 --duration 30s --out runs/first

      streamgauge calibrate --users 50 --out runs/first   (before it: shows the client's own error beside the figures)

      streamgauge load --target target.toml --users 200 --processes 2 --slo "ttft p95 < 500ms" --slo "error_rate < 1%"

      streamgauge load http://localhost:8080/chat --rate 20/s --duration 1m --warmup 10s --max-streams 500

      streamgauge load http://localhost:8080/chat --stages 50:30s,200:1m --abort-if "ttft p95 > 2s for 10s"

      streamgauge load http://localhost:8080/chat --abandon 10%@tokens:5..50 --mock http://127.0.0.1:9000

      streamgauge load http://10.0.0.9/v1/chat/completions --users 2000 --master --expect-workers 2 --bind 0.0.0.0

      streamgauge load --worker 10.0.0.5 --processes -1   (on each of the other machines)

      streamgauge load --target target.toml --prompt-tokens "N(480,240)" --output-tokens 128 --prefix-tokens "200*4"

    Exit codes: 0 done (and every SLO met), 1 an SLO was missed or a limit stopped the run, 2 usage, 3 no token came, or
    an SLO had no data, 130 interrupted. What had been measured is kept and reported.
    """
    if cluster is not None:
        if (scenario or "").endswith(".py"):
            raise UsageError("--master runs only scenarios that are installed on every machine", "name one, as chat")
        workload = msgspec.structs.replace(workload, processes=cluster.workers)
    files = locustfiles(scenario, workload)
    directory = out_dir or Path("runs") / f"load-{datetime.now():%Y%m%d-%H%M%S}"
    runs.must_take_a_run(directory)
    plan = LoadPlan(
        workload=workload,
        cluster=cluster,
        slos=[parse_slo(text) for text in slo or []],
        max_errors=max_errors,
        abort_rules=[parse_abort(text) for text in abort_if or []],
        locustfiles=files,
        prompts=source(
            msgspec.structs.replace(prompts, text=target.prompt, seed=workload.seed, processes=workload.processes)
        ),
        directory=directory,
        calibration=runs.calibration(calibration, directory),
    )
    with shown() as progress:
        result = run_load(target, plan, progress)
    print_result(result)
    if result.unwritten is not None:
        raise result.unwritten
    try:
        for path in _render(plan.directory):
            out.print(f"wrote {path}")
    except KeyboardInterrupt:
        err.print(f"stopped while writing the reports; `streamgauge report {safe(plan.directory)}` writes them")
        raise
    if result.ended.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if result.ended.stopped:
        err.print(f"[red]stopped:[/red] {safe(result.ended.stopped)}")
        raise typer.Exit(ExitCode.FAILED)
    if not result.totals.token_events:
        raise CannotMeasure("no token came in the whole run", f"see the outcomes above and {plan.directory / LOG}")
    judge_slos(result.summary.slo_results)


def _render(directory: Path) -> list[Path]:
    from streamgauge.reports.render import render  # drawing takes a second to import

    return render(directory)
