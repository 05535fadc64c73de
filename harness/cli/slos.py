"""The objectives of a run as a table."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from streamgauge.cli.console import safe
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import SloResult, SloVerdict

_COLOURS: Final = {SloVerdict.MET: "green", SloVerdict.MISSED: "red", SloVerdict.UNDECIDED: "yellow"}


def slo_table(results: Sequence[SloResult]) -> Table:
    """A row for each objective: its text, the measured value and its interval, the number of streams that they rest on,
    the verdict, and why it is undecided.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SLO")
    table.add_column("measured", justify="right")
    table.add_column(f"{CONFIDENCE:.0%} interval", justify="right")
    table.add_column("streams", justify="right")
    table.add_column("")
    table.add_column("", overflow="fold")
    for result in results:
        colour = _COLOURS[result.verdict]
        verdict = f"[{colour}]{result.verdict.value}[/{colour}]"
        interval, streams = result.interval or "", result.count or ""
        measured, reason = safe(result.measured or "-"), safe(result.reason or "")
        table.add_row(safe(result.slo), measured, safe(interval), streams, verdict, reason)
    return table
