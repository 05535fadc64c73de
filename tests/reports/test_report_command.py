"""`streamgauge report`."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from streamgauge.cli.report import report
from streamgauge.errors import UsageError
from tests.reports.report_builders import full_run

app = typer.Typer()
app.command()(report)


def test_it_prints_what_it_wrote(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(full_run(tmp_path))])

    assert result.exit_code == 0
    assert result.stdout.split() == [str(tmp_path / name) for name in ("report.html", "report.md", "junit.xml")]


def test_a_missing_directory_is_left_to_the_one_place_that_prints_errors(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "gone")])

    assert isinstance(result.exception, UsageError)


def test_help_has_examples_and_exit_codes() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout

    assert text.count("streamgauge report") == 3
    assert "Exit codes" in text
