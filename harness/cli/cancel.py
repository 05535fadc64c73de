"""`streamgauge cancel`: does the upstream stop when the user leaves?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamgauge.cli.console import err, out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions, Url
from streamgauge.diagnosis import cancel as door
from streamgauge.diagnosis.cancellation import FAIL, INCONCLUSIVE, CancelRow
from streamgauge.errors import ExitCode
from streamgauge.rundir import runs


@with_groups
def cancel(
    *,
    url: Url = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write cancellation.json into a run directory.")
    ] = None,
    target: TargetOptions,
) -> None:
    """Leave streams early, and measure when the upstream notices and how many tokens it wastes after that.

    The endpoint must have the mock provider as its upstream; --mock names the mock's own address. All requests together
    take at most 15 minutes.

    Examples:

      streamgauge cancel http://localhost:8080/v1/chat/completions --mock http://127.0.0.1:9000

      streamgauge cancel http://localhost:5000/api/chat --body ask.json --mock http://127.0.0.1:9000 --out runs/a

    Each kind of close is repeated until its verdict is settled: three times, or five where the closes differ.

    Exit codes: 0 every close reached the upstream, 1 one kind of close did not (or took over 10 s, before the first
    token over 3 s), 2 usage, 3 could not measure, or one kind of close is undecided: it reached the upstream only
    sometimes, or its streams ended first.
    """
    given = target.target(url)
    if given.mock is not None and out_dir is not None:
        runs.must_take_a_run(out_dir)
    with err.status("starting ...") as status:
        found = door.cancel(given, progress=lambda text: status.update(safe(text)))
    print_rows(found.rows)
    if out_dir is not None:
        out.print(f"wrote {safe(runs.keep(out_dir, runs.CANCELLATION, found))}")
    if code := exit_code_of(found.rows):
        raise typer.Exit(code)


def exit_code_of(rows: list[CancelRow]) -> ExitCode:
    """1 when a kind of close failed, 3 when one is undecided: its streams showed nothing, or differed."""
    verdicts = {row.verdict for row in rows}
    if FAIL in verdicts:
        return ExitCode.FAILED
    return ExitCode.CANNOT_MEASURE if INCONCLUSIVE in verdicts or not rows else ExitCode.OK


def print_rows(rows: list[CancelRow]) -> None:
    """The matrix as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("phase", "close", "verdict"):
        table.add_column(column)
    for column in ("in time", "propagation", "± clock", "tokens received", "wasted"):
        table.add_column(column, justify="right")
    table.add_column("upstream saw")
    colours = {"pass": "green", "warn": "yellow", "fail": "red"}
    for row in rows:
        colour = colours.get(row.verdict, "cyan")
        table.add_row(
            row.phase,
            row.method,
            f"[{colour}]{row.verdict}[/{colour}]",
            f"{row.closes - row.missed} of {row.closes}",
            "never" if row.propagation_ms is None else f"{row.propagation_ms:.2f} ms",
            "-" if row.clock_error_ms is None else f"{row.clock_error_ms:.2f} ms",
            str(row.tokens_received),
            "-" if row.wasted_tokens is None else str(row.wasted_tokens),
            safe(f"{row.upstream_kind or '-'} (ended {row.upstream_end or 'not yet'})"),
        )
    out.print(table)
    for row in rows:
        if row.note:
            out.print(f"[bold]{row.phase}, {row.method}:[/bold] {safe(row.note)}")
