"""Makes the reports of a run directory. It reads only that directory, so a report can be made again at any time."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from streamgauge.capacity import file as capacity_file
from streamgauge.capacity.file import CapacityFile
from streamgauge.metrics.validity import unfit
from streamgauge.reports.capacity_html import capacity_html
from streamgauge.reports.capacity_markdown import capacity_markdown
from streamgauge.reports.html import html_report
from streamgauge.reports.junit import capacity_junit, junit_xml
from streamgauge.reports.load import Run, load
from streamgauge.reports.markdown import markdown_report
from streamgauge.rundir.runs import read_file, replace


def _junit(run: Run) -> str | None:
    why_unfit = unfit(run.summary.deciding_validity) if run.summary else None
    if run.checks or run.slos or run.faults or why_unfit:
        return junit_xml(run.checks, run.slos, run.faults, why_unfit)
    return None


# A new report is one line here and a function from the run to its text; None means that there is nothing to report.
OUTPUTS: Final[tuple[tuple[str, Callable[[Run], str | None]], ...]] = (
    ("report.html", html_report),
    ("report.md", markdown_report),
    ("junit.xml", _junit),
)

OF_CAPACITY: Final[tuple[tuple[str, Callable[[CapacityFile], str]], ...]] = (
    ("report.html", capacity_html),
    ("report.md", capacity_markdown),
    ("junit.xml", capacity_junit),
)


def render(directory: Path) -> list[Path]:
    """Write the reports of `directory` into it and return their paths. Raises UsageError when it holds no run."""
    path = directory / capacity_file.FILE
    if path.is_file() and (search := read_file(path, CapacityFile)) is not None:
        return _written(directory, ((name, make(search)) for name, make in OF_CAPACITY))
    run = load(directory)
    return _written(directory, ((name, make(run)) for name, make in OUTPUTS))


def _written(directory: Path, texts: Iterable[tuple[str, str | None]]) -> list[Path]:
    written = []
    for name, text in texts:
        if text is not None:
            replace(directory / name, text.encode())
            written.append(directory / name)
    return written
