"""Markdown of a `check` run, sized for a job summary or a comment. Text from the endpoint is escaped."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Final

from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import UPSTREAM_ERROR_COLUMNS, WORST_FIRST, CheckResult, Verdict
from streamgauge.reports.checks_html import MARKS, conclusion
from streamgauge.reports.finding_text import markdown_text
from streamgauge.reports.text import clean, md, md_code
from streamgauge.units import plural

# A comment on GitHub holds 65,536 characters; a job summary 1 MiB.
MAX_CHARS: Final = 60_000
_LOUD: Final = (Verdict.ERROR, Verdict.FAIL, Verdict.WARN)


def checks_markdown(report: ChecksReport) -> str:
    """At most MAX_CHARS long: findings that do not fit are counted. The same report gives the same bytes."""
    parts = [f"## Streamgauge: {conclusion(report)[1]}", _targets(report)]
    if len(report.targets) > 1 and (matrix := _matrix(report)):
        parts.append(matrix)
    parts += _clients(report)
    parts += _upstream_errors(report)
    if needs := _needs(report):
        parts.append(needs)
    size = sum(len(part) + 2 for part in parts)
    shown, left = [], 0
    for finding in _findings(report):
        if left or size + len(finding) > MAX_CHARS - 200:
            left += 1
        else:
            shown.append(finding)
            size += len(finding) + 2
    # The findings come before the checks that could not be tested.
    at = len(parts) - bool(needs)
    parts[at:at] = shown
    if left:
        parts.append(f"{plural(left, 'more finding')}: see the other report files.")
    return "\n\n".join(parts)[:MAX_CHARS] + "\n"


def _targets(report: ChecksReport) -> str:
    lines = ["| | target | result | checks |", "|---|---|---|---|"]
    for number, row in enumerate(report.targets, 1):
        if row.checks is None:
            lines.append(f"| {number} | {md(row.name)} | not measured | {md(row.reason or '')} |")
            continue
        counts = Counter(result.verdict for result in row.checks.results)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST if counts[verdict])
        name = md(row.name) if row.name == row.target else f"{md(row.name)} ({md(row.target)})"
        lines.append(f"| {number} | {name} | {_standing(row)} | {verdicts} |")
    return "\n".join(lines)


def _standing(row: TargetChecks) -> str:
    reasons = [plural(len(row.failing), "finding")] if row.failing else []
    reasons += [plural(len(row.stale), "stale entry", "stale entries") + " of the baseline"] if row.stale else []
    accepted = f" ({len(row.accepted)} accepted)" if row.accepted else ""
    return (f"**failed**: {', '.join(reasons)}" if reasons else "passed") + accepted


def _matrix(report: ChecksReport) -> str | None:
    """The checks with a finding anywhere, by target."""
    cells: dict[str, dict[int, str]] = {}
    loud = set()
    for number, row in enumerate(report.targets):
        for result in row.checks.results if row.checks else ():
            mark = MARKS[result.verdict]
            cells.setdefault(result.id, {})[number] = f"({mark})" if result.id in row.accepted else mark
            if result.verdict in _LOUD:
                loud.add(result.id)
    if not loud:
        return None
    count = len(report.targets)
    lines = ["| check | " + " | ".join(str(n + 1) for n in range(count)) + " |", "|---|" + ":-:|" * count]
    lines += [
        f"| {md_code(check)} | " + " | ".join(cells[check].get(n, "·") for n in range(count)) + " |"
        for check in cells
        if check in loud
    ]
    return "\n".join(lines)


def _findings(report: ChecksReport) -> Iterator[str]:
    """The stale entries, then what fails the run, then the rest; each in a fold of its own."""
    several = len(report.targets) > 1
    for row in report.targets:
        for check in row.stale:
            yield f"- {md_code(check)} of {md(row.name)} is accepted by the baseline but passes now: remove the entry."
    found = [(row, one) for row in report.targets if row.checks for one in row.checks.results if one.verdict in _LOUD]
    for row, result in sorted(found, key=lambda pair: (pair[1].id not in pair[0].failing, _rank(pair[1]))):
        accepted = " (accepted)" if result.id in row.accepted else ""
        where = f" · {escape(clean(row.name))}" if several else ""
        title = f"{MARKS[result.verdict]} <code>{result.id}</code> {result.level}, {result.severity}{where}{accepted}"
        yield f"<details><summary>{title}</summary>\n\n{markdown_text(result)}\n\n</details>"


def _clients(report: ChecksReport) -> list[str]:
    """The clients that do not get a target's stream, if the streams were replayed."""
    lines = []
    for row in report.targets:
        matrix = row.checks.clients if row.checks else None
        if matrix is not None:
            broken = [f"{md(one.client)} ({one.result.verdict})" for one in matrix.rows if one.broken]
            lines.append(f"- {md(row.name)}: {', '.join(broken) or 'every client reads it'}")
    return ["Clients that do not get the stream:", "\n".join(lines)] if lines else []


def _upstream_errors(report: ChecksReport) -> Iterator[str]:
    """What the client gets for each failure of the upstream, in a fold for each target."""
    for row in report.targets:
        errors = row.checks.upstream_errors if row.checks else []
        if errors:
            lines = ["| " + " | ".join(UPSTREAM_ERROR_COLUMNS) + " |", "|---" * len(UPSTREAM_ERROR_COLUMNS) + "|"]
            lines += ["| " + " | ".join(map(md, error.cells)) + " |" for error in errors]
            title = f"When the upstream of {escape(clean(row.name))} fails"
            yield "\n".join([f"<details><summary>{title}</summary>", "", *lines, "", "</details>"])


def _needs(report: ChecksReport) -> str | None:
    open_ones = {
        (result.id, result.needs or "")
        for checks in report.measured
        for result in checks.results
        if result.verdict is Verdict.INCONCLUSIVE
    }
    if not open_ones:
        return None
    by_need = Counter(need for _, need in sorted(open_ones))
    head = f"{plural(len({check for check, _ in open_ones}), 'check')} could not be tested. It takes:"
    return "\n".join([head, "", *(f"- {count}: {md(need)}" for need, count in by_need.most_common())])


def _rank(result: CheckResult) -> int:
    return WORST_FIRST.index(result.verdict)
