"""`streamgauge report`: writes the reports of a run directory again, from its files."""

from pathlib import Path
from typing import Annotated

import typer

from streamgauge.cli.console import out, safe
from streamgauge.cli.rendering import write_reports
from streamgauge.errors import UsageError


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The directory that load, check, cancel, diagnose or capacity wrote.")
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

    Exit codes: 0 written, whatever the verdict; 2 there is no run in the directory, or it cannot be
    read; 3 the memory does not suffice.
    """
    if events and not parquet:
        raise UsageError("--events needs --parquet: it adds columns to streams.parquet", "add --parquet")
    for path in write_reports(directory, parquet=parquet, events=events):
        out.print(safe(path))
