"""The files that `check` writes on request. A new file replaces the old one in one step: nobody reads half a file."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from streamgauge.conformance.report import ChecksReport
from streamgauge.errors import UsageError
from streamgauge.files import must_be_writable, replace_file
from streamgauge.rundir import runs


class Format(NamedTuple):
    """A form in which the report can be written: the option `--name FILE` asks for it.

    `writer` is `module:function` of the function that turns a ChecksReport into text. It is imported only when it is
    needed, because a command that writes no report must not wait for a report's libraries.
    """

    name: str
    help: str
    writer: str

    def text(self, report: ChecksReport) -> str:
        module, _, function = self.writer.partition(":")
        write: Callable[[ChecksReport], str] = getattr(import_module(module), function)
        return write(report)


# A new format is a function in a module of `reports`, and a line here.
FORMATS: Final = (
    Format("json", "All results as JSON.", "streamgauge.cli.check_files:json_text"),
    Format("junit", "JUnit XML, for the tests tab of a CI.", "streamgauge.reports.junit:report_junit"),
    Format("sarif", "SARIF 2.1.0, for code scanning.", "streamgauge.reports.sarif:sarif"),
    Format("markdown", "Markdown, for a job summary.", "streamgauge.reports.checks_markdown:checks_markdown"),
    Format(
        "html",
        "A web page: a matrix of checks and targets, with the bytes behind each finding.",
        "streamgauge.reports.checks_html:checks_html",
    ),
)


class Files(NamedTuple):
    """The path for each requested format, and the run directory if `--out` was given."""

    reports: Mapping[Format, Path]
    out_dir: Path | None = None

    def prepare(self) -> None:
        """Raise UsageError, before any request is made, if a file could not be written at the end."""
        paths = list(self.reports.values())
        for path in paths:
            must_be_writable(path)
        if len({path.resolve() for path in paths}) < len(paths):
            raise UsageError("two of the files to write are the same", "give each a name of its own")
        if self.out_dir is not None:
            runs.must_take_a_run(self.out_dir)

    def write(self, report: ChecksReport) -> None:
        """Write the files. Raises UsageError on a file that cannot be written."""
        for form, path in self.reports.items():
            replace_file(path, form.text(report).encode())
        if self.out_dir is not None:
            _write_runs(self.out_dir, report)


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
    """The name of a target's directory. The number makes it unique when two targets have the same name."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name.removeprefix("https://").removeprefix("http://")).strip("-")
    return f"{number}-{words[:60]}"
