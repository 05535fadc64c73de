"""`streamgauge load`: a load model under Locust, records from every process in one run directory."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from streamgauge.cli.console import err, out, print_error, safe
from streamgauge.cli.distributed import ClusterOptions
from streamgauge.cli.load_model import LoadModelOptions
from streamgauge.cli.load_output import print_result, shown
from streamgauge.cli.option_groups import options_of, with_groups
from streamgauge.cli.options import TargetOptions, Url
from streamgauge.cli.prompt_options import PromptFlags
from streamgauge.cli.rendering import write_reports
from streamgauge.errors import CannotMeasure, ExitCode, StreamgaugeError
from streamgauge.loadgen import load as door
from streamgauge.loadgen.result import LoadResult


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the run must achieve, the limits that stop it, and where its records go."""

    slos: Annotated[
        list[str] | None,
        typer.Option(
            "--slo",
            metavar="'METRIC < LIMIT'",
            help="An objective, such as 'ttft p95 < 500ms', 'itl p99.9 <= 80ms', 'error_rate < 1%', 'goodput > 95%' or "
            "'output_tokens_per_s > 1000'; for a class of streams 'ttft p95 < 500ms where prompt <= 1k' (or output, or "
            "turn); repeatable.",
        ),
    ] = None
    max_errors: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop the run when N streams have failed.")
    ] = None
    abort_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC > LIMIT for WINDOW'",
            help="Stop the run when this is true for the last WINDOW, such as 'ttft p95 > 2s for 10s'; repeatable.",
        ),
    ] = None
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="chat or open, or the path of a locustfile. Default: open for an open loop, else chat.",
        ),
    ] = None
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The error floor to show beside the figures: calibration.json, or the directory to which `calibrate` "
            "wrote it. Default: the one in --out.",
        ),
    ] = None
    server_metrics: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Show the server's own figures beside the client's: running, waiting, queue time and cache use, from "
            "http://HOST:PORT/metrics of vLLM, SGLang, llama.cpp and others, or auto to look at the endpoint's own "
            "address.",
        ),
    ] = None
    directory: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Run directory. Default: runs/load-TIME-ID.")
    ] = None

    def keywords(self) -> dict[str, Any]:
        """The keywords of `streamgauge.load` for the options that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@with_groups
def load(
    *,
    url: Url = None,
    model: LoadModelOptions,
    run: RunOptions,
    no_report: Annotated[
        bool,
        typer.Option(
            "--no-report",
            help="Write no report.html, report.md and junit.xml: that saves 2 s of CPU and 640 MiB of memory. "
            "`streamgauge report DIR` writes them later, or on another machine.",
        ),
    ] = False,
    prompts: PromptFlags,
    target: TargetOptions,
    cluster: ClusterOptions,
) -> None:
    """Load an endpoint with users or arrivals and measure TTFT, ITL and throughput from kernel arrival stamps.

    Examples:

      streamgauge load http://localhost:8080/v1/chat/completions --users 50 --duration 30s --out runs/first

      streamgauge calibrate --users 50 --out runs/first   (run it first: load then shows the client's own error)

      streamgauge load --target target.toml --users 200 --processes 2 --slo "ttft p95 < 500ms" --slo "error_rate < 1%"

      streamgauge load http://localhost:8080/chat --rate 20/s --duration 1m --warmup 10s --max-streams 500

      streamgauge load http://localhost:8080/v1/chat/completions --replay mooncake.jsonl --trace-window ..5m

      streamgauge load http://localhost:8080/chat --stages 50:30s,200:1m --abort-if "ttft p95 > 2s for 10s"

      streamgauge load http://localhost:8080/chat --abandon 10%@tokens:5..50 --mock http://127.0.0.1:9000

      streamgauge load http://10.0.0.9/v1/chat/completions --users 2000 --master --expect-workers 2 --bind 0.0.0.0

      STREAMGAUGE_TOKEN=... streamgauge load --worker 10.0.0.5 --processes -1   (on each machine; --master prints it)

      streamgauge load --target target.toml --users 50 --slo "ttft p95 < 500ms" --no-report   (the exit code is enough)

      streamgauge load --target target.toml --prompt-tokens "N(480,240)" --output-tokens 128 --prefix-tokens "200*4"

    Exit codes: 0 done (and every SLO met), 1 an SLO was missed, a limit stopped the run, or nothing could connect to
    the endpoint for half a second, 2 usage, 3 an SLO is undecided, no token came (and no SLO was missed), the figures
    are INVALID, or a process of the load was lost or disturbed, 130 interrupted. A run that ends early keeps and
    reports what it has measured. SUSPECT figures with every SLO met are 0.
    """
    has_target = url is not None or target.target_file is not None
    cluster.become_worker(target.request, model.processes, has_target=has_target)
    with shown() as progress:
        result = door.load(
            target.target(url),
            cluster=cluster.cluster(model.processes),
            progress=progress,
            **run.keywords(),
            **options_of(model),
            **options_of(prompts),
        )
    print_result(result)
    if result.unwritten is not None:
        raise result.unwritten
    unreported = None if result.ended.lost_directory or no_report else _write_reports(result.directory)
    _exit(result)
    if unreported is not None:
        raise typer.Exit(unreported.exit_code)


def _write_reports(directory: Path) -> StreamgaugeError | None:
    """Write the reports. When that fails, print the error and return it: first the run's verdict decides the exit."""
    try:
        for path in write_reports(directory):
            out.print(f"wrote {safe(path)}")
    except StreamgaugeError as error:
        print_error(error)
        return error
    except KeyboardInterrupt:
        err.print(f"stopped while writing the reports; `streamgauge report {safe(directory)}` writes them")
        raise
    return None


def _exit(result: LoadResult) -> None:
    """End with the exit code of the run, and say why."""
    code, reasons, label, hint = result.conclusion
    if code is ExitCode.CANNOT_MEASURE:
        raise CannotMeasure("; ".join(reasons), hint)
    for reason in reasons:
        err.print(f"[red]{label}:[/red] {safe(reason)}")
    if code is not ExitCode.OK:
        raise typer.Exit(code)
