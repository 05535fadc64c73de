"""What `clients` and `check --clients` print: how each client reads the stream, and at which byte it fails."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from rich.table import Table

from streamgauge.cli.console import out, safe
from streamgauge.conformance.matrix import ASIDE, ClientRow, ClientVerdict, Matrix, Replay
from streamgauge.units import plural

_COLOURS: Final = {
    ClientVerdict.READS: "green",
    ClientVerdict.ADDS: "yellow",
    ClientVerdict.LOSES: "red",
    ClientVerdict.RAISES: "red",
    ClientVerdict.HANGS: "red",
}


def print_matrix(matrix: Matrix) -> None:
    """Print a row for each client, then what rows share: the bytes that they point at, notes, clients left out."""
    rows = [row for row in matrix.rows if row.result.verdict not in ASIDE]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("client", "version", "verdict"):
        table.add_column(column, no_wrap=True)
    table.add_column("byte", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in rows:
        result = row.result
        colour = _COLOURS[result.verdict]
        offset = "" if result.offset is None else f"{result.offset:,}"
        verdict = f"[{colour}]{result.verdict}[/{colour}]"
        table.add_row(safe(row.client), safe(_version(row)), verdict, offset, _why(row))
    if rows:
        out.print(table)
        out.print()
    for replay, where in _places(rows).items():
        out.print(f"[bold]{where}byte {replay[0]:,}[/bold]  {safe(replay[1])}")
    for note, names in _grouped((row.note, row.client) for row in rows):
        who = "all" if len(names) == len(rows) > 1 else ", ".join(names)
        out.print(f"[bold]{safe(who)}[/bold]: {safe(note)}")
    for verdict in ASIDE:
        aside = _grouped((row.result.reason, row.client) for row in matrix.rows if row.result.verdict is verdict)
        if aside:
            words = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in aside)
            out.print(f"[dim]{verdict}: {safe(words)}[/dim]")
    out.print(counted(matrix) + (f"; {safe(matrix.caveat)}" if matrix.caveat else ""))


def counted(matrix: Matrix) -> str:
    """How much was replayed, and how many clients have each verdict."""
    counts = Counter(row.result.verdict for row in matrix.rows)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ClientVerdict if counts[verdict])
    return f"{plural(matrix.bodies, 'stream')}, {matrix.bytes:,} bytes: {words}"


def _version(row: ClientRow) -> str:
    """The version that ran, or that an emulation follows."""
    return row.version or (f"emulated {row.follows}" if row.follows else "emulated")


def _why(row: ClientRow) -> str:
    lines = [safe(_named(row) + row.result.reason)] if row.result.reason else []
    lines += [f"[magenta]{safe(_otherwise(one))}[/magenta]" for one in row.otherwise]
    return "\n".join(lines)


def _named(row: ClientRow) -> str:
    return f"{row.scenario}: " if row.scenario not in (None, "happy") else ""


def _otherwise(replay: Replay) -> str:
    at = "" if replay.offset is None else f" at byte {replay.offset:,}"
    why = f": {replay.reason}" if replay.reason else ""
    return f"depends on the reads: {replay.cut} it {replay.verdict}{at}{why}"


def _places(rows: Iterable[ClientRow]) -> dict[tuple[int, str], str]:
    """Each place that a row points at, once: offset and bytes, mapped to the name of the scenario."""
    return {
        (one.offset, one.excerpt): _named(row)
        for row in rows
        for one in (row.result, *row.otherwise)
        if one.offset is not None and one.excerpt is not None
    }


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> list[tuple[str, list[str]]]:
    """The names that share a text, by text."""
    found: dict[str, list[str]] = {}
    for text, name in pairs:
        if text:
            found.setdefault(text, []).append(name)
    return list(found.items())
