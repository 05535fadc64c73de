"""From a run directory to its reports. Nothing but the directory is read, so a report can be made again at any time."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from reports.html import html_report
from reports.junit import junit_xml
from reports.load import Run, load
from reports.markdown import markdown_report

# A new report is a function from the run to its text (None: nothing to say) and a line here.
OUTPUTS: Final[tuple[tuple[str, Callable[[Run], str | None]], ...]] = (
    ("report.html", html_report),
    ("report.md", markdown_report),
    ("junit.xml", lambda run: junit_xml(run.checks, run.slos) if run.checks or run.slos else None),
)


def render(directory: Path) -> list[Path]:
    """Write the reports of `directory` into it and return their paths. Raises UsageError when there is no run in it."""
    run = load(directory)
    written = []
    for name, make in OUTPUTS:
        text = make(run)
        if text is not None:
            written.append(_replace(directory / name, text))
    return written


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}", "is it writable, the disk full?") from None
    return path
