"""The page of a `check` run: checks by targets, and behind each cell its evidence and the wire. One file, no script."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from streamgauge.conformance.groups import GROUPS
from streamgauge.conformance.matrix import BROKEN, ClientRow, ClientVerdict
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import (
    UPSTREAM_ERROR_COLUMNS,
    WORST_FIRST,
    CheckResult,
    Evidence,
    Verdict,
    WireExchange,
    WireRow,
)
from streamgauge.reports.html import page
from streamgauge.units import plural, show_bytes, show_ms

MARKS: Final = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.WARN: "!",
    Verdict.INFO: "i",
    Verdict.NOT_APPLICABLE: "–",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ERROR: "E",
}
_CONTROLS: Final = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
_NEAR: Final = 3
_MAX_SPOTS: Final = 6
_MOST_FINDINGS: Final = 6  # in the card of a target; the matrix has all


Parts = list[tuple[str, str]]
"""Pieces of a text and their classes: `hit` is quoted by a check, `control` names a control character."""


class Line(NamedTuple):
    """A row of a wire log for the page: the marked and unmarked parts of its text, and the time since the last row.

    `skipped` is how many bytes before it are not kept.
    """

    row: WireRow
    parts: Parts
    gap_ns: int | None
    same_read: bool
    skipped: int
    quoted: bool

    @property
    def bar(self) -> int:
        """The gap as a width in pixels: 1 ms is visible, and 10 s still fits."""
        ms = (self.gap_ns or 0) / 1e6
        return 0 if ms < 0.05 else min(90, round(8 * (1 + ms) ** 0.32))


class Spot(NamedTuple):
    """A piece of evidence: its excerpt around the quoted byte, and the rows of the wire near it.

    `ended` is the exchange when the byte would be past its end: what should have followed is not there.
    """

    item: Evidence
    parts: Parts
    lines: list[Line]
    wire: str | None
    ended: WireExchange | None


class Cell(NamedTuple):
    """A check on a target."""

    anchor: str
    row: TargetChecks
    result: CheckResult
    spots: list[Spot]
    wires: list[tuple[str, str]]

    @property
    def mark(self) -> str:
        return MARKS[self.result.verdict]

    @property
    def state(self) -> str:
        """Whether the baseline accepts the finding, or lists it although it passes."""
        if self.result.id in self.row.stale:
            return "stale"
        return "accepted" if self.result.id in self.row.accepted else ""


class Row(NamedTuple):
    """A check on every target; None where the target was not checked."""

    result: CheckResult
    cells: list[Cell | None]

    @property
    def verdicts(self) -> str:
        """Class names by which the page filters."""
        return " ".join(sorted({f"has-{cell.result.verdict}" for cell in self.cells if cell is not None}))


class Group(NamedTuple):
    """The checks of a group."""

    name: str
    about: str
    rows: list[Row]

    @property
    def verdicts(self) -> str:
        """Class names by which the page filters."""
        return " ".join(sorted({name for row in self.rows for name in row.verdicts.split()}))


class Wire(NamedTuple):
    """An exchange and its rows."""

    anchor: str
    exchange: WireExchange
    lines: list[Line]


class TargetColumn(NamedTuple):
    """One endpoint."""

    number: int
    row: TargetChecks
    counts: list[tuple[Verdict, int]]
    wires: list[Wire]

    @property
    def short(self) -> str:
        """Its name at the head of a column."""
        return self.row.name.removeprefix("https://").removeprefix("http://")

    def findings(self, cells: Sequence[Cell]) -> list[Cell]:
        """The checks that fail the run on this target, worst first."""
        failing = [cell for cell in cells if cell.row is self.row and cell.result.id in self.row.failing]
        return sorted(failing, key=lambda cell: WORST_FIRST.index(cell.result.verdict))

    @property
    def standing(self) -> tuple[str, str]:
        """A level for the colour, and words."""
        row = self.row
        if row.checks is None:
            return "bad", "not measured"
        if row.failing or row.stale:
            stale = [plural(len(row.stale), "stale entry", "stale entries")] if row.stale else []
            return "bad", ", ".join([*([plural(len(row.failing), "finding")] if row.failing else []), *stale])
        warned = dict(self.counts).get(Verdict.WARN, 0)
        return ("warn", f"passed, {plural(warned, 'warning')}") if warned else ("good", "passed")


class Client(NamedTuple):
    """One client's reading of a target's streams."""

    anchor: str
    name: str
    row: ClientRow
    parts: Parts

    @property
    def level(self) -> str:
        """The verdict as a class name: lost data is a failure, added messages are a warning."""
        verdict = self.row.result.verdict
        if verdict in BROKEN:
            return "fail"
        return {ClientVerdict.READS: "pass", ClientVerdict.ADDS: "warn"}.get(verdict, "not-applicable")


def checks_html(report: ChecksReport) -> str:
    """The page. The same report gives the same bytes."""
    targets = [_target(number, row) for number, row in enumerate(report.targets, 1)]
    rows = _rows(targets)
    groups = [
        Group(name, GROUPS.get(name, ""), list(members))
        for name, members in groupby(rows, key=lambda r: r.result.group)
    ]
    totals = Counter(cell.result.verdict for row in rows for cell in row.cells if cell is not None)
    return page(
        "checks.html.j2",
        report=report,
        targets=targets,
        groups=groups,
        totals=[(verdict, totals[verdict]) for verdict in WORST_FIRST if totals[verdict]],
        cells=[cell for row in rows for cell in row.cells if cell is not None],
        needs=_needs(rows),
        clients=_clients(targets),
        upstream_columns=UPSTREAM_ERROR_COLUMNS,
        words=conclusion(report),
        most_findings=_MOST_FINDINGS,
        marks=MARKS,
        show_bytes=show_bytes,
        show_ms=show_ms,
        plural=plural,
    )


def conclusion(report: ChecksReport) -> tuple[str, str]:
    """A level for the colour, and the result of the run in words."""
    count = len(report.targets)
    if report.interrupted:
        return "bad", "Interrupted"
    failing = sum(one.fails for one in report.targets)
    if count == 1:
        (only,) = report.targets
        if only.checks is None:
            return "bad", "Could not be measured"
        return ("bad", "Failed") if only.fails else ("good", "Passed")
    if not failing:
        return "good", f"All {count} targets pass"
    return "bad", f"{failing} of {count} targets fail"


def _target(number: int, row: TargetChecks) -> TargetColumn:
    checks = row.checks
    counts = Counter(result.verdict for result in checks.results) if checks else Counter()
    wires = [
        _wire(f"w{number}-{index}", exchange) for index, exchange in enumerate(checks.exchanges if checks else (), 1)
    ]
    return TargetColumn(number, row, [(verdict, counts[verdict]) for verdict in WORST_FIRST if counts[verdict]], wires)


def _rows(targets: Sequence[TargetColumn]) -> list[Row]:
    """Every check in the order of its group, each with one cell a target."""
    by_id: dict[str, dict[int, CheckResult]] = {}
    for target in targets:
        for result in target.row.checks.results if target.row.checks else ():
            by_id.setdefault(result.id, {})[target.number] = result
    groups = list(GROUPS)
    order = {check: number for number, check in enumerate(by_id)}

    def place(check: str) -> tuple[int, int]:
        group = next(iter(by_id[check].values())).group
        return (groups.index(group) if group in groups else len(groups), order[check])

    return [
        Row(
            next(iter(by_id[check].values())),
            [_cell(one, by_id[check][one.number]) if one.number in by_id[check] else None for one in targets],
        )
        for check in sorted(by_id, key=place)
    ]


def _cell(target: TargetColumn, result: CheckResult) -> Cell:
    read = set(result.scenarios) | {item.scenario for item in result.evidence}
    return Cell(
        f"c{target.number}-{result.id}",
        target.row,
        result,
        [_spot(target, item) for item in result.evidence[:_MAX_SPOTS]],
        [
            (wire.anchor, wire.exchange.label)
            for wire in target.wires
            if wire.exchange.scenario in read or wire.exchange.label in read
        ],
    )


def _spot(target: TargetColumn, item: Evidence) -> Spot:
    wire = next((one for one in target.wires if one.exchange.label == item.scenario), None)
    lines: list[Line] = []
    ended: WireExchange | None = None
    if wire is not None and item.offset is not None:
        rows = wire.exchange.rows
        at = next((n for n, row in enumerate(rows) if row.offset <= item.offset < row.offset + row.size), None)
        if at is None and rows and item.offset >= rows[-1].offset:
            at, ended = len(rows) - 1, wire.exchange
        if at is not None:
            first = max(0, at - _NEAR)
            lines = [
                line._replace(skipped=0, quoted=item.offset in line.row.cited)
                for line in wire.lines[first : at + _NEAR + 1]
            ]
    parts = _parts(item.excerpt or "", [] if item.mark is None else [item.mark])
    return Spot(item, parts, lines, wire.anchor if wire else None, ended)


def _wire(anchor: str, exchange: WireExchange) -> Wire:
    return Wire(anchor, exchange, list(_lines(exchange.rows)))


def _lines(rows: Sequence[WireRow]) -> Iterator[Line]:
    last: WireRow | None = None
    for row in rows:
        end = 0 if last is None else last.offset + last.size
        known = last is not None and last.arrival_ns is not None and row.arrival_ns is not None
        yield Line(
            row,
            _parts(row.text, row.marks),
            row.arrival_ns - last.arrival_ns if known else row.arrival_ns,  # type: ignore[operator,union-attr]
            last is not None and row.read is not None and row.read == last.read,
            row.offset - end,
            bool(row.cited),
        )
        last = row


def _parts(text: str, marks: Sequence[int]) -> Parts:
    """The text cut at marked characters and at the pictures of control characters, which few fonts have."""
    parts: Parts = []
    at = start = 0
    while at < len(text):
        code = ord(text[at]) - 0x2400
        is_control = 0 <= code < len(_CONTROLS)
        if at not in marks and not is_control:
            at += 1
            continue
        # An invalid byte or an unprintable character is written as <0xFF> or <U+FEFF>: several characters for one.
        end = text.index(">", at) + 1 if text[at : at + 3] in ("<0x", "<U+") and ">" in text[at:] else at + 1
        shown = _CONTROLS[code] if is_control else text[at:end]
        parts += [(text[start:at], ""), (shown, "hit" if at in marks else "control")]
        at = start = end
    parts.append((text[start:], ""))
    return [part for part in parts if part[0]]


def _clients(targets: Sequence[TargetColumn]) -> list[tuple[str, list[Client | None]]]:
    """Every client that fits a target, with its result for each target."""
    by_name: dict[str, dict[int, Client]] = {}
    for target in targets:
        matrix = target.row.checks.clients if target.row.checks else None
        for index, row in enumerate(matrix.rows if matrix else (), 1):
            if row.result.verdict in (ClientVerdict.NOT_APPLICABLE, ClientVerdict.NOT_INSTALLED):
                continue
            mark = [] if row.result.mark is None else [row.result.mark]
            parts = _parts(row.result.excerpt or "", mark)
            made = Client(f"k{target.number}-{index}", target.row.name, row, parts)
            by_name.setdefault(row.client, {})[target.number] = made
    return [(name, [cells.get(target.number) for target in targets]) for name, cells in by_name.items()]


def _needs(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """What would make inconclusive checks testable, and how many of them."""
    found = {
        (row.result.id, cell.result.needs or "")
        for row in rows
        for cell in row.cells
        if cell is not None and cell.result.verdict is Verdict.INCONCLUSIVE
    }
    return Counter(need for _, need in sorted(found)).most_common()
