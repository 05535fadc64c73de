"""The files that `check` writes on request: each replaced at once, so that nobody reads half of one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamgauge.conformance.report import ChecksReport
from streamgauge.errors import UsageError
from streamgauge.files import must_be_writable, replace_file
from streamgauge.rundir import runs


class Files(NamedTuple):
    """Where each kind of file goes; None for one that is not wanted."""

    json: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    out_dir: Path | None = None

    def prepare(self) -> None:
        """Raise UsageError before any request where a file could not be written at the end."""
        wanted = [path for path in self[:-1] if path is not None]
        for path in wanted:
            must_be_writable(path)
        if len({path.resolve() for path in wanted}) < len(wanted):
            raise UsageError("two of the files to write are the same", "give each a name of its own")
        if self.out_dir is not None:
            runs.must_take_a_run(self.out_dir)

    def write(self, report: ChecksReport) -> None:
        """Write what is wanted. Raises UsageError on what cannot be written."""
        for path, make in self._texts():
            replace_file(path, make(report).encode())
        if self.out_dir is not None:
            _write_runs(self.out_dir, report)

    def _texts(self) -> Iterator[tuple[Path, Callable[[ChecksReport], str]]]:
        # Reports are loaded only where they are asked for.
        if self.json is not None:
            yield self.json, json_text
        if self.junit is not None:
            from streamgauge.reports.junit import report_junit

            yield self.junit, report_junit
        if self.sarif is not None:
            from streamgauge.reports.sarif import sarif

            yield self.sarif, sarif
        if self.markdown is not None:
            from streamgauge.reports.checks_markdown import checks_markdown

            yield self.markdown, checks_markdown
        if self.html is not None:
            from streamgauge.reports.checks_html import checks_html

            yield self.html, checks_html


def json_text(report: ChecksReport) -> str:
    """The report as JSON, for people and for programs."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def _write_runs(directory: Path, report: ChecksReport) -> None:
    """`checks.json` where `report` looks for it; one of several targets has a run directory of its own."""
    several = len(report.targets) > 1
    for number, row in enumerate(report.targets, 1):
        if row.checks is not None:
            runs.keep(directory / _slug(number, row.name) if several else directory, runs.CHECKS, row.checks)


def _slug(number: int, name: str) -> str:
    """A directory's name: the number keeps two alike apart."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name.removeprefix("https://").removeprefix("http://")).strip("-")
    return f"{number}-{words[:60]}"
