"""`streamgauge report`: a run directory, rendered again from its files alone."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import out, safe


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What load, check, cancel or diagnose wrote.")],
) -> None:
    """Write report.html, report.md and junit.xml of a run again, from its files alone; nothing is measured.

    Examples:

      streamgauge report runs/demo

      streamgauge report runs/nightly && cat runs/nightly/report.md >> "$GITHUB_STEP_SUMMARY"

    Exit codes: 0 written, whatever the verdict in it; 2 no run is there.
    """
    from reports.render import render  # drawing takes a second to import; the other commands must not pay for it

    for path in render(directory):
        out.print(safe(path))
