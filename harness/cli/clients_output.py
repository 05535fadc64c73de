"""What `clients` and `check --clients` print: what becomes of the stream in each client, at which byte, and why."""

from collections import Counter
from typing import Final

from rich.table import Table

from harness.cli.console import out, safe
from harness.conformance.matrix import ClientRow, ClientVerdict, Matrix, Replay
from harness.units import plural

_COLOURS: Final = {
    ClientVerdict.READS: "green",
    ClientVerdict.ADDS: "yellow",
    ClientVerdict.LOSES: "red",
    ClientVerdict.RAISES: "red",
    ClientVerdict.HANGS: "red",
}
_ASIDE: Final = (ClientVerdict.NOT_APPLICABLE, ClientVerdict.NOT_INSTALLED)


def print_matrix(matrix: Matrix) -> None:
    """Print a row a client; those that have no business with the stream are named under it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("client", "version", "verdict"):
        table.add_column(column, no_wrap=True)
    table.add_column("byte", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in matrix.rows:
        result = row.result
        if result.verdict not in _ASIDE:
            colour = _COLOURS[result.verdict]
            offset = "" if result.offset is None else f"{result.offset:,}"
            version = safe(row.version or "emulated")
            table.add_row(safe(row.client), version, f"[{colour}]{result.verdict}[/{colour}]", offset, _why(row))
    if table.row_count:
        out.print(table)
    for verdict in _ASIDE:
        aside = [row for row in matrix.rows if row.result.verdict is verdict]
        if aside:
            listed = ", ".join(f"{row.client} ({row.result.reason})" for row in aside)
            out.print(f"[dim]{verdict}: {safe(listed)}[/dim]")
    counts = Counter(row.result.verdict for row in matrix.rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ClientVerdict if counts[verdict])
    replayed = f"{plural(matrix.bodies, 'stream')}, {matrix.bytes:,} bytes"
    out.print(f"{replayed}: {told}" + (f"; {safe(matrix.caveat)}" if matrix.caveat else ""))


def _why(row: ClientRow) -> str:
    lines = []
    if row.result.reason:
        where = f"{row.scenario}: " if row.scenario not in (None, "happy") else ""
        lines.append(safe(where + row.result.reason))
    if row.result.excerpt is not None:
        lines.append(f"[dim]{safe(row.result.excerpt)}[/dim]")
    lines += [f"[magenta]{safe(_otherwise(one))}[/magenta]" for one in row.otherwise]
    if row.note:
        lines.append(f"[dim]{safe(row.note)}[/dim]")
    return "\n".join(lines)


def _otherwise(replay: Replay) -> str:
    at = "" if replay.offset is None else f" at byte {replay.offset:,}"
    why = f": {replay.reason}" if replay.reason else ""
    return f"depends on the reads: {replay.cut} it {replay.verdict}{at}{why}"
