"""`streamgauge report`: writes the reports of a run directory again, from its files."""

from pathlib import Path
from typing import Annotated

import typer

from streamgauge.cli.console import out, safe
from streamgauge.errors import UsageError


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The run directory that load, check, cancel or diagnose wrote.")
    ],
    parquet: Annotated[
        bool,
        typer.Option(
            "--parquet", help="Also write streams.parquet, a row for each stream (install streamgauge\\[parquet])."
        ),
    ] = False,
    events: Annotated[
        bool,
        typer.Option("--events", help="With --parquet: include the arrival time of every token and read, as lists."),
    ] = False,
) -> None:
    """Write report.html, report.md and junit.xml of a run again, from its files; nothing is measured.

    Examples:

      streamgauge report runs/demo

      streamgauge report runs/nightly && cat runs/nightly/report.md >> "$GITHUB_STEP_SUMMARY"

      streamgauge report runs/nightly --parquet   (then: duckdb -c "from 'runs/nightly/streams.parquet'")

    Exit codes: 0 written, whatever the verdict; 2 there is no run in the directory.
    """
    if events and not parquet:
        raise UsageError("--events needs --parquet: it adds columns to streams.parquet", "add --parquet")
    from streamgauge.reports.render import render  # here, because importing matplotlib takes a second

    written = render(directory)
    if parquet:
        from streamgauge.reports.parquet import write_parquet

        written.append(write_parquet(directory, events=events))
    for path in written:
        out.print(safe(path))
