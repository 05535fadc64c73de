"""The files that `compare` and `overhead` write on request, each replaced in one step."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from streamgauge.comparing.report import CompareReport
from streamgauge.errors import UsageError
from streamgauge.files import must_be_writable, replace_file


class CompareFormat(NamedTuple):
    """A form of the report. `writer` is `module:function`, imported only when the option asks for it."""

    name: str
    writer: str

    def text(self, report: CompareReport) -> str:
        module, _, function = self.writer.partition(":")
        write: Callable[[CompareReport], str] = getattr(import_module(module), function)
        return write(report)


FORMATS: Final = (
    CompareFormat("json", "streamgauge.cli.compare_files:json_text"),
    CompareFormat("markdown", "streamgauge.reports.compare_markdown:compare_markdown"),
    CompareFormat("junit", "streamgauge.reports.junit:compare_junit"),
    CompareFormat("html", "streamgauge.reports.compare_html:compare_html"),
)


def prepare(paths: Mapping[str, Path | None]) -> dict[CompareFormat, Path]:
    """The formats that were asked for. Raises UsageError on a file that could not be written at the end."""
    chosen = {form: path for form in FORMATS if (path := paths.get(form.name)) is not None}
    for path in chosen.values():
        must_be_writable(path)
    if len({path.resolve() for path in chosen.values()}) < len(chosen):
        raise UsageError("two of the files to write are the same", "give each a name of its own")
    return chosen


def write(report: CompareReport, chosen: Mapping[CompareFormat, Path]) -> None:
    """Write the files. Raises UsageError on a file that cannot be written."""
    for form, path in chosen.items():
        replace_file(path, form.text(report).encode())


def json_text(report: msgspec.Struct) -> str:
    """A report as JSON, for people and for programs."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"
