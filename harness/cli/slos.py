"""What became of the objectives of a run: the table, and the exit code."""

from collections.abc import Sequence

import typer
from rich.table import Table

from streamgauge.cli.console import err, safe
from streamgauge.errors import CannotMeasure, ExitCode
from streamgauge.metrics.slo import SloResult, SloVerdict

_COLOURS = {SloVerdict.MET: "green", SloVerdict.MISSED: "red", SloVerdict.NO_DATA: "yellow"}


def slo_table(results: Sequence[SloResult]) -> Table:
    """Objective, measured, verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SLO")
    table.add_column("measured", justify="right")
    table.add_column("")
    for one in results:
        colour = _COLOURS[one.verdict]
        table.add_row(safe(one.slo), safe(one.measured or "-"), f"[{colour}]{one.verdict.value}[/{colour}]")
    return table


def judge_slos(results: Sequence[SloResult]) -> None:
    """Exit with 1 when an objective was missed. Raises CannotMeasure when one had no data: that is not a pass."""
    missed = [one for one in results if one.verdict is SloVerdict.MISSED]
    for one in missed:
        err.print(f"[red]SLO missed:[/red] {safe(one.slo)} (measured {safe(one.measured)})")
    if missed:
        raise typer.Exit(ExitCode.FAILED)
    if unknown := [one.slo for one in results if one.verdict is SloVerdict.NO_DATA]:
        raise CannotMeasure(
            f"no data for the SLO {'; '.join(unknown)}", "did any stream get that far? See the outcomes"
        )
