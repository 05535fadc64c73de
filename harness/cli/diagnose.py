"""`streamgauge diagnose`: who holds my tokens back?"""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from streamgauge.cli.console import err, out, safe
from streamgauge.cli.options import with_target
from streamgauge.diagnosis import buffering
from streamgauge.diagnosis.patterns import DiagnosisFile, Pattern
from streamgauge.endpoint.client import StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import at_vendor_path, check_url
from streamgauge.errors import ExitCode
from streamgauge.rundir import runs
from streamgauge.units import show_bytes

Via = Annotated[str | None, typer.Option("--via", metavar="URL", help="The endpoint as its users reach it.")]


@partial(with_target, url=Via)
def diagnose(
    target: Target,
    direct: Annotated[
        str | None, typer.Option("--direct", metavar="URL", help="The same endpoint without the proxy, to compare.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write diagnosis.json into a run directory.")
    ] = None,
) -> None:
    """Find what buffers a stream: the class, the size or window, the hop, the evidence and the line that fixes it.

    With --mock the verdict comes from lockstep and does not depend on any clock. With --direct both paths are
    compared. With neither it is statistics, and the answer says so.

    Examples:

      streamgauge diagnose --via https://chat.example.com/v1/chat/completions --direct http://10.0.0.5:8000/v1/...

      streamgauge diagnose --via http://localhost:8080/v1/chat/completions --mock http://127.0.0.1:9000

    Exit codes: 0 pass-through, 1 something buffers, 2 usage, 3 could not measure.
    """
    if out_dir is not None:
        runs.must_take_a_run(out_dir)
    paths = [buffering.PathTarget("via", target)]
    if direct is not None:
        own = at_vendor_path(msgspec.structs.replace(target, url=check_url(direct)))
        paths.append(buffering.PathTarget("direct", own))
    with StreamClient.to(target) as client:
        paths = [path._replace(target=settle(client, path.target)) for path in paths]
        mock = MockControl.of(target) if target.mock else None
        with err.status("starting ...") as status:
            found = buffering.diagnose(
                client, paths[0], paths[1] if direct else None, mock, lambda text: status.update(safe(text))
            )
    print_diagnosis(found)
    if out_dir is not None:
        out.print(f"wrote {runs.keep(out_dir, runs.DIAGNOSIS, found)}")
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
        out.print("\nOne path and no mock: this is told from arrival times alone. Give --direct or --mock for a proof.")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
