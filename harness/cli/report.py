"""`streamgauge report`: a run directory, rendered again from its files alone."""

from pathlib import Path
from typing import Annotated

import typer

from streamgauge.cli.console import out, safe
from streamgauge.errors import UsageError


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What load, check, cancel or diagnose wrote.")],
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write streams.parquet, a row a stream (needs the extra parquet).")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="With --parquet: also the arrival of every token and read, as lists.")
    ] = False,
) -> None:
    """Write report.html, report.md and junit.xml of a run again, from its files alone; nothing is measured.

    Examples:

      streamgauge report runs/demo

      streamgauge report runs/nightly && cat runs/nightly/report.md >> "$GITHUB_STEP_SUMMARY"

      streamgauge report runs/nightly --parquet   (then: duckdb -c "from 'runs/nightly/streams.parquet'")

    Exit codes: 0 written, whatever the verdict in it; 2 no run is there.
    """
    if events and not parquet:
        raise UsageError("--events says what goes into streams.parquet", "add --parquet")
    from streamgauge.reports.render import (
        render,  # drawing takes a second to import; the other commands must not pay for it
    )

    written = render(directory)
    if parquet:
        from streamgauge.reports.parquet import write_parquet

        written.append(write_parquet(directory, events=events))
    for path in written:
        out.print(safe(path))
