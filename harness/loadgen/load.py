"""`streamgauge.load`: a load as a function call. Locust runs in a child process; the result is a value."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Unpack

import msgspec

from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target
from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import Cluster
from streamgauge.loadgen.model import LoadModel, workload_from
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.progress import LoadProgress, TraceRead, silent
from streamgauge.loadgen.prompts import source
from streamgauge.loadgen.prompts.options import PromptOptions, plan_from
from streamgauge.loadgen.result import LoadResult
from streamgauge.loadgen.run import run_load
from streamgauge.loadgen.scenario_files import locustfiles
from streamgauge.metrics.abort_rules import parse_abort
from streamgauge.metrics.slo import parse_slo
from streamgauge.rundir import runs
from streamgauge.rundir.default_directory import default_directory


class LoadOptions(LoadModel, PromptOptions, total=False):
    """The load model and the prompts: the options of `streamgauge load`, with `_` in place of `-`."""


_PROMPTS: Final = frozenset(PromptOptions.__annotations__)


def load(
    target: str | Target,
    *,
    slos: Sequence[str] = (),
    max_errors: int | None = None,
    abort_if: Sequence[str] = (),
    scenario: str | None = None,
    calibration: Path | str | None = None,
    server_metrics: str | None = None,
    directory: Path | str | None = None,
    cluster: Cluster | None = None,
    progress: LoadProgress = silent,
    **options: Unpack[LoadOptions],
) -> LoadResult:
    """Load an endpoint: `load(url, users=50, duration="30s", slos=["ttft p95 < 500ms"])`.

    The records go to `directory`, which is runs/load-TIME-ID if not given. Ctrl-C and a limit end the run early, and
    the result says so. Raises UsageError on input that cannot be used, and CannotMeasure when no stream came.
    """
    if unknown := options.keys() - LoadOptions.__annotations__.keys():
        raise TypeError(f"load() has no option {', '.join(sorted(unknown))}")
    given = as_target(target)
    chosen: dict[str, Any] = dict(options)
    prompts = plan_from(**{name: chosen.pop(name) for name in _PROMPTS & chosen.keys()})
    workload = workload_from(**chosen)
    if workload.understood is not None:
        progress(TraceRead(workload.understood))
    if workload.connections is not None and not given.http2:
        raise UsageError("--connections shares HTTP/2 connections among users", "add --http2, or drop --connections")
    if cluster is not None:
        if (scenario or "").endswith(".py"):
            raise UsageError(
                "--master runs only scenarios that are installed on every machine", "name one, such as chat"
            )
        workload = msgspec.structs.replace(workload, processes=cluster.workers)
    files = locustfiles(scenario, workload)
    place = Path(directory) if directory is not None else default_directory("load")
    runs.must_take_a_run(place)
    plan = LoadPlan(
        workload=workload,
        cluster=cluster,
        slos=[parse_slo(text) for text in slos],
        max_errors=max_errors,
        abort_rules=[parse_abort(text) for text in abort_if],
        locustfiles=files,
        prompts=source(
            msgspec.structs.replace(prompts, text=given.prompt, seed=workload.seed, processes=workload.processes)
        ),
        directory=place,
        calibration=runs.calibration(Path(calibration) if calibration is not None else None, place),
        server_metrics=server_metrics,
    )
    return run_load(given, plan, progress)
