"""The objectives of a run: their table, and the exit code that follows from them."""

from collections.abc import Sequence
from typing import Final

import typer
from rich.table import Table

from streamgauge.cli.console import err, safe
from streamgauge.errors import CannotMeasure, ExitCode
from streamgauge.metrics.slo import SloResult, SloVerdict

_COLOURS: Final = {SloVerdict.MET: "green", SloVerdict.MISSED: "red", SloVerdict.UNDECIDED: "yellow"}


def slo_table(results: Sequence[SloResult]) -> Table:
    """A row for each objective: its text, the measured value, the verdict, and why it is undecided."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SLO")
    table.add_column("measured", justify="right")
    table.add_column("")
    table.add_column("", overflow="fold")
    for result in results:
        colour = _COLOURS[result.verdict]
        verdict = f"[{colour}]{result.verdict.value}[/{colour}]"
        table.add_row(safe(result.slo), safe(result.measured or "-"), verdict, safe(result.reason or ""))
    return table


def judge_slos(results: Sequence[SloResult]) -> None:
    """Exit with 1 when an objective was missed. Raises CannotMeasure when one is undecided: that is not a pass."""
    missed = [result for result in results if result.verdict is SloVerdict.MISSED]
    for result in missed:
        err.print(f"[red]SLO missed:[/red] {safe(result.slo)} (measured {safe(result.measured)})")
    if missed:
        raise typer.Exit(ExitCode.FAILED)
    if undecided := [f"{result.slo} ({result.reason})" for result in results if result.verdict is SloVerdict.UNDECIDED]:
        raise CannotMeasure(
            f"undecided: the SLO {'; '.join(undecided)}",
            "no data: see how the streams ended; cut streams: --drain lets them end; this client: calibrate shows the "
            "load that it can carry",
        )
