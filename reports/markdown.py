"""report.md: the facts of report.html as tables, short enough for a CI job summary."""

from typing import Final

from streamgauge.conformance.result import WORST_FIRST, CheckResult, ChecksFile, Verdict
from streamgauge.diagnosis.patterns import DiagnosisFile
from streamgauge.reports import tables
from streamgauge.reports.caveats import caveats
from streamgauge.reports.finding_text import markdown_text
from streamgauge.reports.headline import check_counts, headline
from streamgauge.reports.load import Run
from streamgauge.reports.tables import Table
from streamgauge.reports.text import md, md_block, md_code

_LOUD: Final = (Verdict.ERROR, Verdict.FAIL, Verdict.WARN)
# GitHub drops a job summary of more than 1 MiB: 100 findings are printed in full, the rest as names.
_FULL: Final = 100


def markdown_report(run: Run) -> str:
    """The report as Markdown. The same run gives the same bytes."""
    top = headline(run)
    parts = [
        f"# Streamgauge: {md_code(run.target)}",
        f"**{top.words}.** " + "; ".join(md(f.text) for f in top.findings),
    ]
    if top.tiles:
        parts.append(
            markdown_table(Table(["key figure", "value", ""], [[t.label, t.value, t.note] for t in top.tiles]))
        )
    if run.summary:
        parts.append("## Load")
        if slos := tables.slos(run):
            parts.append(markdown_table(slos, code=1))
        parts += [
            markdown_table(tables.distributions(run.summary), code=1),
            markdown_table(tables.outcomes(run.summary)),
        ]
        extras = (tables.failures, tables.scenarios, tables.truth, tables.open_loop, tables.sessions,
                  tables.session_ends, tables.server, tables.abandonment, tables.floor)  # fmt: skip
        for make in extras:
            if extra := make(run):
                parts.append(markdown_table(extra))
        parts.append(markdown_table(tables.rates(run.summary)))
    elif run.streams:
        parts += ["## Load", "No record could be read."]
    if run.checks:
        parts += _checks(run, run.checks)
    if cancellation := tables.cancellation(run):
        parts += ["## Cancellation", markdown_table(cancellation)]
    if run.diagnosis:
        parts += _diagnosis(run, run.diagnosis)
    parts += ["## Caveats", "\n".join(f"- {md(line)}" for line in _all_caveats(run))]
    parts += ["## Definitions", markdown_table(tables.definitions(), code=1)]
    parts += ["## Manifest", markdown_table(tables.manifest(run))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _all_caveats(run: Run) -> list[str]:
    lines = caveats(run)
    if run.summary:
        judged = run.summary.validity
        reasons = "; ".join(judged.reasons)
        lines = [f"Validity: {judged.verdict}. {reasons}", f"Rule: {judged.rule}.", *lines]
    return lines or ["None."]


def _checks(run: Run, checks: ChecksFile) -> list[str]:
    counts = Table(["verdict", "checks"], [[name, str(count)] for name, count in check_counts(run).items()], 1)
    ordered = sorted(checks.results, key=lambda r: (WORST_FIRST.index(r.verdict), r.group, r.id))
    loud = [result for result in ordered if result.verdict in _LOUD]
    parts = ["## Checks", markdown_table(counts), *(_finding(result) for result in loud[:_FULL])]
    if loud[_FULL:]:
        parts.append("Also: " + ", ".join(f"{md_code(r.id)} ({r.verdict.value})" for r in loud[_FULL:]))
    rest = [result for result in ordered if result.verdict not in _LOUD]
    if rest:
        rows = [[r.id, r.verdict.value, r.level, r.actual + (f" (needs {r.needs})" if r.needs else "")] for r in rest]
        every = markdown_table(Table(["check", "verdict", "level", "found"], rows), code=1)
        parts.append(f"<details><summary>The other {len(rest)} checks</summary>\n\n{every}\n\n</details>")
    return parts


def _finding(result: CheckResult) -> str:
    return f"### {result.verdict.value.upper()} {md_code(result.id)}\n\n{markdown_text(result)}"


def _diagnosis(run: Run, found: DiagnosisFile) -> list[str]:
    parts = ["## Diagnosis", f"**{md(found.answer)}**", "\n".join(f"- {md(line)}" for line in found.evidence)]
    for table in (tables.paths(run), tables.headers(run)):
        if table:
            parts.append(markdown_table(table))
    for fix in found.fixes:
        parts += [f"Change in {md(fix.where)}:", md_block("\n".join(fix.lines))]
    return parts


def markdown_table(table: Table, code: int = 0) -> str:
    """A Markdown table; the first `code` columns are names and set as code."""
    text = len(table.columns) - table.numeric
    rule = ["---"] * text + ["---:"] * table.numeric
    rows = [[md_code(c) if i < code else md(c) for i, c in enumerate(row)] for row in table.rows]
    head = [md(column) for column in table.columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
