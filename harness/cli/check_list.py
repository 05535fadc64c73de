"""`check --list` prints every check, as a table or as JSON."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table

from streamgauge.cli.console import out, safe
from streamgauge.conformance.catalogue import catalogue, entry_of
from streamgauge.conformance.groups import GROUPS
from streamgauge.conformance.registry import Check
from streamgauge.conformance.requirement import Level
from streamgauge.conformance.selection import select
from streamgauge.errors import UsageError

_LEVELS: Final = {Level.MUST: "red", Level.SHOULD: "yellow", Level.MAY: "cyan"}


class ListFormat(StrEnum):
    """The formats of --list."""

    TABLE = "table"
    JSON = "json"


def print_list(checks: Iterable[Check]) -> None:
    """Print a table for each group. A row names the options that its check needs besides a URL."""
    listed = list(checks)
    widest = max(len(check.id) for check in listed)
    for group, members in groupby(listed, key=lambda check: check.group):
        table = Table(box=None, pad_edge=False, show_header=False)
        for width in (widest, 6, 8, 7):
            table.add_column(width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for check in members:
            rule, needs = check.requirement, entry_of(check).needs
            needed = f" [cyan](needs {' and '.join(needs)})[/cyan]" if needs else ""
            level = f"[{_LEVELS[rule.level]}]{rule.level}[/]"
            table.add_row(check.id, level, rule.severity, rule.basis, safe(rule.statement) + needed)
        out.print(f"[bold]{group}[/bold]: {GROUPS[group]}", table, "", sep="\n")
    out.print(f"{len(listed)} check{'s' * (len(listed) != 1)}; `streamgauge explain ID` explains a check in full")


# Both options are eager, so that they work without a URL. The one that is parsed last prints: their order is free.
def _list(context: typer.Context, wanted: bool) -> None:
    context.meta["list"] = wanted
    _print_and_leave(context)


def _format(context: typer.Context, wanted: ListFormat) -> ListFormat:
    context.meta["format"] = wanted
    _print_and_leave(context)
    return wanted


def _print_and_leave(context: typer.Context) -> None:
    if not {"list", "format"} <= context.meta.keys():
        return
    described = context.meta["format"] is ListFormat.JSON
    if not context.meta["list"]:
        if described:
            raise UsageError("--format needs --list", "to write the results of the checks as JSON, use --json FILE")
        return
    if described:
        typer.echo(msgspec.json.format(msgspec.json.encode(catalogue()), indent=1).decode())
    else:
        print_list(select())
    raise typer.Exit


List = Annotated[
    bool,
    typer.Option(
        "--list", callback=_list, is_eager=True, help="Print every check and exit; `explain GROUP` prints one group."
    ),
]
Format = Annotated[
    ListFormat, typer.Option("--format", callback=_format, is_eager=True, help="With --list: a table to read, or JSON.")
]
