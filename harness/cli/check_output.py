"""What `check` prints: the findings of each group with what stands behind them, then what is open and why."""

from collections import Counter
from itertools import groupby
from typing import Final

from harness.cli.console import out, safe
from harness.conformance.result import CheckResult, ChecksFile, Verdict

_MARKS: Final = {
    Verdict.PASS: ("green", "✓"),
    Verdict.FAIL: ("red", "✗"),
    Verdict.WARN: ("yellow", "!"),
    Verdict.INFO: ("cyan", "i"),
    Verdict.NOT_APPLICABLE: ("dim", "-"),
    Verdict.INCONCLUSIVE: ("magenta", "?"),
    Verdict.ERROR: ("red", "E"),
}
_TOLD: Final = (Verdict.ERROR, Verdict.FAIL, Verdict.WARN)


def print_results(checks: ChecksFile, *, verbose: bool) -> None:
    """Print every group: findings in full, and with `verbose` what was met or not tested too."""
    dialect = checks.dialect or "no known dialect"
    out.print(f"[bold]{safe(checks.target)}[/bold]  {safe(dialect)}, {checks.position} position")
    for group, members in groupby(checks.results, key=lambda result: result.group):
        results = list(members)
        shown = [result for result in results if verbose or result.verdict in _TOLD]
        counts = Counter(result.verdict for result in results)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        out.print(f"\n[bold]{group}[/bold]  [dim]{told}[/dim]")
        for result in shown:
            _print_result(result)


def _print_result(result: CheckResult) -> None:
    colour, mark = _MARKS[result.verdict]
    out.print(
        f"  [{colour}]{mark} {result.id}[/{colour}]  [dim]{result.level}, {result.severity}, {result.basis}[/dim]"
    )
    if result.verdict not in _TOLD:
        out.print(f"      {safe(result.actual)}")
        if result.needs:
            out.print(f"      needs: {safe(result.needs)}")
        return
    rows = [("requirement", result.statement), ("expected", result.expected), ("actual", result.actual)]
    for item in result.evidence:
        at = f"{item.scenario}, byte {item.offset:,}" if item.offset is not None else item.scenario
        rows.append(("evidence", f"{at}: {item.excerpt or item.note or ''}"))
    rows += [("reproduce", result.reproduce), ("breaks", result.breaks)]
    rows += [("fix", line) for line in result.advice]
    for name, text in rows:
        if text:
            out.print(f"      [bold]{name:<12}[/bold] {safe(text)}")


def print_verdict(checks: ChecksFile, expected: frozenset[str]) -> list[str]:
    """Print the closing lines; returns the expected failures that pass now."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in checks.summary.items() if count)
    out.print(f"\n{checks.requests} requests, {len(checks.results)} checks: {counts}")
    open_ones = Counter(result.needs for result in checks.results if result.verdict is Verdict.INCONCLUSIVE)
    if open_ones:
        out.print(f"[magenta]{open_ones.total()} could not be tested.[/magenta] What would make them testable:")
        for needs, count in open_ones.most_common():
            out.print(f"  {count:>3}  {safe(needs)}")
    passing = {result.id for result in checks.results if result.verdict in (Verdict.PASS, Verdict.INFO)}
    stale = sorted(expected & passing)
    for check_id in stale:
        out.print(f"[red]{check_id} is listed as an expected failure, and passes: remove it from the list[/red]")
    return stale
