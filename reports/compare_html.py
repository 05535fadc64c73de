"""The page of a comparison: one self-contained file, without script and network."""

from typing import NamedTuple

from markupsafe import Markup

from streamgauge.comparing import words
from streamgauge.comparing.report import CompareReport, SideInfo, Versus
from streamgauge.comparing.verdict import Finding, RuleVerdict
from streamgauge.reports import compare_markdown as tables
from streamgauge.reports.figures.canvas import Drawing
from streamgauge.reports.figures.failure_sides import draw_failures
from streamgauge.reports.figures.quantile_shift import draw_shifts
from streamgauge.reports.headline import HeadlineFinding, Level, Tile, worst_first
from streamgauge.reports.html import page

_LEVELS = {RuleVerdict.REGRESSION: Level.BAD, RuleVerdict.UNDECIDED: Level.WARN, RuleVerdict.NONE: Level.GOOD}
_FOUND = {Finding.WORSE: Level.BAD, Finding.BETTER: Level.GOOD}
_TILES = (
    ("ttft", "p50"),
    ("ttft", "p95"),
    ("itl", "p95"),
    ("e2e", "p50"),
    ("output_tokens_per_s", None),
    ("error_rate", None),
)


class Part(NamedTuple):
    """One side against the first, as the page shows it."""

    versus: Versus
    base: SideInfo
    info: SideInfo
    anchor: str
    level: Level
    words: str
    findings: list[HeadlineFinding]
    tiles: list[Tile]
    figures: list[tuple[Drawing, Markup]]


def compare_html(report: CompareReport) -> str:
    """The page. The same report gives the same bytes."""
    return page("compare.html.j2", report=report, parts=[_part(report, at) for at in range(len(report.against))],
                tables=tables)  # fmt: skip


def _part(report: CompareReport, at: int) -> Part:
    versus = report.against[at]
    base, info = report.side(versus.base), report.side(versus.name)
    anchor = f"part-{at + 1}"
    drawings = [*draw_shifts(versus), *draw_failures(versus, base, info)]
    return Part(
        versus,
        base,
        info,
        anchor,
        _LEVELS[versus.verdict],
        words.headline(versus),
        _findings(versus),
        _tiles(versus, anchor),
        # These drawings are safe as markup: they are our own, and matplotlib escapes the text in them.
        [(drawing, Markup(drawing.svg)) for drawing in drawings],
    )


def _findings(versus: Versus) -> list[HeadlineFinding]:
    """The rules, worst first, and what is in doubt about the comparison."""
    rules = [
        HeadlineFinding(
            _LEVELS[result.verdict],
            f"{result.rule}: {result.measured}, {words.rule(result)}"
            if result.measured
            else f"{result.rule}: {words.rule(result)}",
        )
        for result in versus.rules
    ]
    return worst_first([*rules, *(HeadlineFinding(Level.WARN, f"in doubt: {doubt}") for doubt in versus.doubts)])


def _tiles(versus: Versus, anchor: str) -> list[Tile]:
    rows = {(row.metric, row.statistic): row for row in versus.rows}
    return [
        Tile(
            anchor,
            " ".join(part for part in (row.metric.replace("output_tokens_per_s", "tokens/s"), row.statistic) if part),
            words.change(row),
            f"{words.interval(row)}; {words.figure(row, row.a)} → {words.figure(row, row.b)}",
            _FOUND.get(row.finding, Level.NOTE),
        )
        for key in _TILES
        if (row := rows.get(key)) is not None
    ]
