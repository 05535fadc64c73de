"""Markdown of a comparison, for a job summary or a comment. The same report gives the same bytes."""

from collections.abc import Sequence

from streamgauge.comparing import words
from streamgauge.comparing.report import CompareReport, SideInfo, Versus
from streamgauge.reports.markdown import markdown_table
from streamgauge.reports.tables import Table
from streamgauge.reports.text import ABSENT, md


def compare_markdown(report: CompareReport) -> str:
    """The answer, the rules, the figures, what failed, and how both sides were measured."""
    parts = []
    for versus in report.against:
        parts += [f"## Streamgauge: {md(words.headline(versus))}", md(versus.identity)]
        parts += [markdown_table(rules(versus), code=1), markdown_table(figures(versus), code=1)]
        parts += [f"**SUSPECT:** {md(doubt)}" for doubt in versus.doubts]
        if versus.failures:
            parts += ["### Failures", markdown_table(failures(versus))]
        if versus.checks:
            parts += ["### Conformance verdicts that changed", markdown_table(checks(versus), code=1)]
        parts += [markdown_table(sides(report.side(versus.base), report.side(versus.name)))]
        parts += ["\n".join(f"- {md(note)}" for note in versus.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def rules(versus: Versus) -> Table:
    """Each change that fails the comparison, with its verdict."""
    rows = [[one.rule, one.measured or ABSENT, words.rule(one)] for one in versus.rules]
    return Table(["fails on", "measured (95 %)", "verdict"], rows)


def figures(versus: Versus) -> Table:
    """The figures of both sides and their difference."""
    rows = [
        [
            " ".join(part for part in (row.metric, row.statistic) if part),
            words.finding(row),
            words.figure(row, row.a),
            words.figure(row, row.b),
            words.change(row),
            words.interval(row),
            words.noise(row),
            words.floor(row),
        ]
        for row in versus.rows
    ]
    columns = ["figure", "found", versus.base, versus.name, "change", "95 % interval", "A/A noise", "client's error"]
    return Table(columns, rows, 6)


def failures(versus: Versus) -> Table:
    """How streams failed, side by side."""
    rows = [
        [row.outcome, ABSENT if row.status is None else str(row.status), row.detail, f"{row.a:,}", f"{row.b:,}"]
        for row in versus.failures
    ]
    return Table(["outcome", "status", "detail", versus.base, versus.name], rows, 2)


def checks(versus: Versus) -> Table:
    """The conformance checks whose verdict changed."""
    return Table(["check", versus.base, versus.name], [[one.id, one.a, one.b] for one in versus.checks])


def sides(a: SideInfo, b: SideInfo) -> Table:
    """How both sides were measured."""
    rows = [
        ["runs", _joined(a.runs), _joined(b.runs)],
        ["target", a.target, b.target],
        ["started", _joined(a.started), _joined(b.started)],
        ["load", a.load, b.load],
        ["streams", f"{a.streams:,}", f"{b.streams:,}"],
        ["failed", f"{a.failed:,}", f"{b.failed:,}"],
        ["measured for", f"{a.seconds:,.1f} s", f"{b.seconds:,.1f} s"],
        ["client", _joined(a.validity), _joined(b.validity)],
        ["streamgauge", a.streamgauge, b.streamgauge],
    ]
    return Table(["", a.name, b.name], rows)


def _joined(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))
