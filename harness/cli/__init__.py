"""The command line: one file a command, one place where errors become messages and exit codes."""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from traceback import format_exception
from types import TracebackType
from typing import Final

import typer

from streamgauge.bounds import BOUNDS
from streamgauge.cli.console import err, print_error
from streamgauge.errors import EXIT_CODES, CannotMeasure, ExitCode, StreamgaugeError
from streamgauge.hiding_stream import hidden_output
from streamgauge.leaks import is_like_one
from streamgauge.secrets import hide, learn
from streamgauge.version import __version__

_OURS: Final = (
    "probe", "check", "explain", "clients", "load", "capacity", "calibrate", "cancel", "diagnose",
    "compare", "overhead", "report", "demo",
)  # fmt: skip
_SCHEMES: Final = ("bearer", "basic", "token")
_SERVERS: Final = {"mock": "mock_command", "proxy": "proxy_command"}


def app(*names: str) -> typer.Typer:
    """The command line with the commands `names`, or with all: to import all takes longer than most commands run."""
    made = typer.Typer(
        name="streamgauge",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Measure and check streaming LLM endpoints (Server-Sent Events).",
        epilog=EXIT_CODES,
        callback=_root,
    )
    for name in _OURS:
        if name in names or not names:
            bound = BOUNDS.get(name)
            made.command(epilog=bound and bound.sentence)(getattr(import_module(f"streamgauge.cli.{name}"), name))
    for name, function in _SERVERS.items():
        if name in names or not names:
            made.command(name, rich_help_panel="Servers")(
                getattr(import_module("streamgauge.mock_provider.cli"), function)
            )
    return made


def _version(value: bool) -> None:
    if value:
        typer.echo(f"streamgauge {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """The `streamgauge` command. A mistake or an unreachable endpoint is one message, never a traceback.

    `arguments` are the words after the command's name. Default: those of this process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    learn(_keys_in(words))
    try:
        with hidden_output():
            app(*(name for name in words[:1] if name in _OURS or name in _SERVERS))(words)
    except StreamgaugeError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.OK)
    except (OSError, MemoryError) as error:
        print_error(_of_this_machine(error))
        sys.exit(ExitCode.CANNOT_MEASURE)
    except Exception:
        sys.excepthook = _print_traceback  # Typer has put its own there
        raise


def _of_this_machine(error: OSError | MemoryError) -> StreamgaugeError:
    """The message for a limit of this machine at a place that expects none: no memory, no descriptor, a bad path."""
    if isinstance(error, MemoryError):
        return CannotMeasure("this process has no memory left", "raise its limit (ulimit -v), or ask for less at once")
    where = f"{error.filename}: " if error.filename else ""
    return CannotMeasure(
        f"{where}{error.strerror or error}", "is the disk full, or a limit of this process reached (ulimit -a)?"
    )


def _keys_in(words: Sequence[str]) -> Iterator[str]:
    """The words of a command line that are keys: a header without quotes is several words, and an error quotes them."""
    for before, word in pairwise(("", *words)):
        if before.lower() in _SCHEMES or (word.isprintable() and " " not in word and is_like_one(word)):
            yield word


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a mistake of ours, which may quote the endpoint, without the user's secrets."""
    sys.stderr.write(hide("".join(format_exception(kind, error, trace))))
