"""The command line: one file a command, one place where errors become messages and exit codes."""

import sys

import typer

from harness import __version__
from harness.cli.calibrate import calibrate
from harness.cli.cancel import cancel
from harness.cli.check import check
from harness.cli.clients import clients
from harness.cli.console import err, safe
from harness.cli.demo import demo
from harness.cli.diagnose import diagnose
from harness.cli.explain import explain
from harness.cli.load import load
from harness.cli.probe import probe
from harness.cli.report import report
from harness.errors import ExitCode, StreamgaugeError
from mock_provider.cli import mock_command, proxy_command

app = typer.Typer(
    name="streamgauge",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure and check streaming LLM endpoints (Server-Sent Events).",
    epilog="Exit codes: 0 passed, 1 a check or threshold failed, 2 usage, 3 could not measure, 130 interrupted.",
)
for _command in (probe, check, explain, clients, load, calibrate, cancel, diagnose, report, demo):
    app.command()(_command)
app.command("mock", rich_help_panel="Servers")(mock_command)
app.command("proxy", rich_help_panel="Servers")(proxy_command)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"streamgauge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """The `streamgauge` command. A mistake or an unreachable endpoint is one message, never a traceback."""
    try:
        app()
    except StreamgaugeError as error:
        err.print(f"[bold red]error:[/bold red] {safe(error.message)}")
        if error.hint:
            err.print(f"  {safe(error.hint)}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.OK)
