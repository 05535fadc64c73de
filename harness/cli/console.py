"""Printing for people: results to standard output, progress and errors to standard error."""

import os
import sys
from contextlib import suppress
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamgauge.errors import StreamgaugeError
from streamgauge.leaks import quoted
from streamgauge.secrets import hide
from streamgauge.untrusted_text import UNSAFE_CHARACTERS

_PIPE_WIDTH: Final = 120  # rich assumes 80 columns for a pipe or a file, and would fold tables


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        """Everything printed comes through here before it is wrapped, cells of tables too: mask the user's secrets."""
        return super().render_str(hide(text), **options)

    def on_broken_pipe(self) -> None:
        """The reader of the pipe, such as `head`, has closed it: print nothing more, and keep the exit code."""
        self.quiet = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def _console(*, stderr: bool) -> Console:
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _PIPE_WIDTH
    # Without `emoji`: rich would turn `:x:` in an endpoint's text into an emoji.
    return _Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, width=width)


out: Final = _console(stderr=False)
err: Final = _console(stderr=True)


def safe(text: object) -> str:
    """A text from an endpoint without secrets, escaped: neither its control characters nor its markup act."""
    shown = quoted(str(text))
    return escape(UNSAFE_CHARACTERS.sub(lambda match: match.group().encode("unicode_escape").decode(), shown))


def facts(rows: list[tuple[str, str]]) -> Table:
    """Two aligned columns without lines; the values may hold markup."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def print_error(error: StreamgaugeError) -> None:
    """What was expected and what came, and below it what to do, to standard error."""
    err.print(f"[bold red]error:[/bold red] {safe(error.message)}")
    if error.hint:
        err.print(f"  {safe(error.hint)}")
