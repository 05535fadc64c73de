"""`streamgauge diagnose`: which hop holds tokens back?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamgauge.cli.console import err, out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions
from streamgauge.diagnosis import diagnose as door
from streamgauge.diagnosis.patterns import DiagnosisFile, Pattern
from streamgauge.errors import ExitCode
from streamgauge.rundir import runs
from streamgauge.units import show_bytes

Via = Annotated[str | None, typer.Option("--via", metavar="URL", help="The endpoint as its users reach it.")]


@with_groups
def diagnose(
    *,
    via: Via = None,
    direct: Annotated[
        str | None, typer.Option("--direct", metavar="URL", help="The same endpoint without the proxy, to compare.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write diagnosis.json into a run directory.")
    ] = None,
    target: TargetOptions,
) -> None:
    """Find the hop that buffers a stream: how it buffers, how much or how long, the evidence, and the fix.

    With --mock the verdict comes from lockstep, which needs no clock. With --direct the two paths are compared.
    Without both, the answer rests on arrival times alone, and says so. All requests together take at most 15 minutes.

    Examples:

      streamgauge diagnose --via https://chat.example.com/v1/chat/completions --direct http://10.0.0.5:8000/v1/...

      streamgauge diagnose --via http://localhost:8080/v1/chat/completions --mock http://127.0.0.1:9000

    Exit codes: 0 pass-through, 1 something buffers, 2 usage, 3 could not measure.
    """
    given = target.target(via)
    if out_dir is not None:
        runs.must_take_a_run(out_dir)
    with err.status("starting ...") as status:
        found = door.diagnose(given, direct=direct, progress=lambda text: status.update(safe(text)))
    print_diagnosis(found)
    if out_dir is not None:
        out.print(f"wrote {safe(runs.keep(out_dir, runs.DIAGNOSIS, found))}")
    if found.buffered:
        raise typer.Exit(ExitCode.FAILED)
    if found.pattern is Pattern.UNKNOWN:
        raise typer.Exit(ExitCode.CANNOT_MEASURE)


def print_diagnosis(found: DiagnosisFile) -> None:
    """Answer first, then the paths, the evidence and the fix."""
    colour = "red" if found.buffered else "green"
    out.print(f"[bold {colour}]{safe(found.answer)}[/bold {colour}]\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("path", "class"):
        table.add_column(column)
    for column in ("size", "window", "TTFT", "ITL p50", "tokens", "bursts"):
        table.add_column(column, justify="right")
    for path in found.paths:
        table.add_row(
            path.label,
            path.pattern.value,
            show_bytes(path.size_bytes) if path.size_bytes else "-",
            _ms(path.window_ms),
            _ms(path.ttft_ms),
            _ms(path.itl_p50_ms),
            str(path.tokens),
            str(path.groups),
        )
    out.print(table)
    out.print("\n[bold]evidence[/bold]")
    for line in found.evidence:
        out.print(f"  {safe(line)}")
    if found.culprit:
        out.print(f"\n[bold]likely culprit[/bold]\n  {safe(found.culprit)}")
    for number, fix in enumerate(found.fixes):
        out.print(f"\n[bold]{'change' if number == 0 else 'or change'}[/bold] {safe(fix.where)}")
        for line in fix.lines:
            out.print(f"    {safe(line)}")
    if found.position == "direct":
        out.print("\nThe answer rests on arrival times alone. Give --direct or --mock for a proof.")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
