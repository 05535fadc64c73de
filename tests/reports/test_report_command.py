"""`streamgauge report`."""

import os
import subprocess
import sys
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


def test_it_works_in_a_directory_outside_the_repository(tmp_path: Path) -> None:
    """The templates belong to the installed package, not to a folder `reports` that happens to be on the path."""
    directory = full_run(tmp_path / "run")
    program = "import sys; from streamgauge.cli import main; sys.argv = ['streamgauge', 'report', 'run']; main()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (directory / "report.html").exists()


def test_help_has_examples_and_exit_codes() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout

    assert text.count("streamgauge report") == 3
    assert "Exit codes" in text
