"""The objectives of a run: their table, and the exit code that follows from them."""

from collections.abc import Sequence

import typer
from rich.table import Table

from streamgauge.cli.console import err, safe
from streamgauge.errors import CannotMeasure, ExitCode
from streamgauge.metrics.slo import SloResult, SloVerdict

_COLOURS = {SloVerdict.MET: "green", SloVerdict.MISSED: "red", SloVerdict.NO_DATA: "yellow"}


def slo_table(results: Sequence[SloResult]) -> Table:
    """A row for each objective: its text, the measured value, the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SLO")
    table.add_column("measured", justify="right")
    table.add_column("")
    for result in results:
        colour = _COLOURS[result.verdict]
        table.add_row(safe(result.slo), safe(result.measured or "-"), f"[{colour}]{result.verdict.value}[/{colour}]")
    return table


def judge_slos(results: Sequence[SloResult]) -> None:
    """Exit with 1 when an objective was missed. Raises CannotMeasure when one had no data: that is not a pass."""
    missed = [result for result in results if result.verdict is SloVerdict.MISSED]
    for result in missed:
        err.print(f"[red]SLO missed:[/red] {safe(result.slo)} (measured {safe(result.measured)})")
    if missed:
        raise typer.Exit(ExitCode.FAILED)
    if unknown := [result.slo for result in results if result.verdict is SloVerdict.NO_DATA]:
        raise CannotMeasure(
            f"no data for the SLO {'; '.join(unknown)}", "see how the streams ended: perhaps none came far enough"
        )
