"""Prints the result of `check`: findings with evidence, a matrix of several targets, and checks not tested."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.table import Table

from streamgauge.cli.clients_output import print_matrix
from streamgauge.cli.console import out, safe
from streamgauge.conformance.permissions import LARGER_BUDGET
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import (
    UPSTREAM_ERROR_COLUMNS,
    WORST_FIRST,
    CheckResult,
    ChecksFile,
    Verdict,
)
from streamgauge.errors import ExitCode
from streamgauge.units import plural

_MARKS: Final = {
    Verdict.PASS: ("green", "✓"),
    Verdict.FAIL: ("red", "✗"),
    Verdict.WARN: ("yellow", "!"),
    Verdict.INFO: ("cyan", "i"),
    Verdict.NOT_APPLICABLE: ("dim", "-"),
    Verdict.INCONCLUSIVE: ("magenta", "?"),
    Verdict.ERROR: ("red", "E"),
}
_FINDINGS: Final = (Verdict.ERROR, Verdict.FAIL, Verdict.WARN)


def print_report(report: ChecksReport, *, verbose: bool) -> None:
    """Print the results: of one target by group, of several by check and as a matrix; then the conclusion."""
    if len(report.targets) == 1:
        row = report.targets[0]
        if row.checks is None:
            return
        _print_head(row, row.checks)
        _print_groups(row, row.checks.results, verbose=verbose)
    else:
        _print_by_check(report.targets)
        _print_matrix(report.targets, verbose=verbose)
    for row in report.targets:
        if row.checks is not None and row.checks.clients is not None:
            out.print(f"\n[bold]clients[/bold]  {safe(row.name)}")
            print_matrix(row.checks.clients)
    for row in report.targets:
        if row.checks is not None and row.checks.upstream_errors:
            _print_upstream_errors(row, row.checks)
    _print_open(report.measured)
    for row in report.targets:
        _print_standing(row, several=len(report.targets) > 1)
    _print_conclusion(report)


def _print_head(row: TargetChecks, checks: ChecksFile) -> None:
    named = f"{safe(row.name)}  " if row.name != row.target else ""
    dialect = checks.dialect or "no known dialect"
    profile = f", profile {safe(checks.profile)}" if checks.profile else ""
    out.print(f"[bold]{named}{safe(checks.target)}[/bold]  {safe(dialect)}, {checks.position} position{profile}")
    if checks.dialect is not None and checks.dialect_rule:
        out.print(f"[dim]recognised as {safe(dialect)} because {safe(checks.dialect_rule)}[/dim]")
    if checks.dialect_doubt:
        out.print(f"[yellow]{safe(checks.dialect_doubt)}[/yellow]")
    _print_one_at_a_time(checks)
    _print_unfinished(checks)


def _print_unfinished(checks: ChecksFile, indent: str = "") -> None:
    if checks.unfinished:
        out.print(f"{indent}[yellow]not decided:[/yellow] {safe(checks.unfinished)}")


def _print_one_at_a_time(checks: ChecksFile, indent: str = "") -> None:
    if checks.one_at_a_time:
        how = f"{indent}serves one request at a time, so they were sent one after another: {safe(checks.one_at_a_time)}"
        out.print(f"[yellow]{how}[/yellow]")


def _print_groups(row: TargetChecks, results: Sequence[CheckResult], *, verbose: bool) -> None:
    spaced = False
    printed: set[str] = set()
    for group, members in groupby(results, key=lambda result: result.group):
        of_group = list(members)
        shown = [result for result in of_group if verbose or result.verdict in _FINDINGS]
        if shown or spaced:
            out.print()  # a blank line around findings; groups without findings form a table
        spaced = bool(shown)
        out.print(f"[bold]{group:<18}[/bold][dim]{_counted(of_group)}[/dim]")
        for result in shown:
            _print_result(result, printed, accepted=result.id in row.accepted)


def _print_by_check(rows: Sequence[TargetChecks]) -> None:
    """Each finding once, with the targets that have it."""
    found: dict[str, list[tuple[TargetChecks, CheckResult]]] = {}
    for row in rows:
        for result in row.checks.results if row.checks is not None else ():
            if result.verdict in _FINDINGS:
                found.setdefault(result.id, []).append((row, result))
    printed: set[str] = set()
    for same in found.values():
        same.sort(key=lambda pair: WORST_FIRST.index(pair[1].verdict))
        first = same[0][1]
        out.print(_headline(first))
        _print_rows(_rows(("requirement", first.statement), ("expected", first.expected)))
        for row, result in same:
            colour, mark = _MARKS[result.verdict]
            accepted = "  [dim]accepted by the baseline[/dim]" if result.id in row.accepted else ""
            out.print(f"      [{colour}]{mark}[/{colour}] [bold]{safe(row.name)}[/bold]{accepted}")
            lines = [
                *_rows(("actual", result.actual), ("level", result.profile)),
                *_evidence(result),
                *_reproduce(result, printed),
            ]
            _print_rows(lines, indent=8)
        _print_rows(_fixes(first))
        out.print()


def _print_matrix(rows: Sequence[TargetChecks], *, verbose: bool) -> None:
    """Checks by targets: those with a finding anywhere, or all with `verbose`."""
    by_check: dict[str, dict[int, CheckResult]] = {}
    for number, row in enumerate(rows):
        for result in row.checks.results if row.checks is not None else ():
            by_check.setdefault(result.id, {})[number] = result
    shown = {
        check: cells
        for check, cells in by_check.items()
        if verbose or any(result.verdict in (*_FINDINGS, Verdict.INFO) for result in cells.values())
    }
    table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=True, header_style="bold")
    table.add_column("check", no_wrap=True)
    for number in range(1, len(rows) + 1):
        table.add_column(str(number), justify="center", no_wrap=True)
    for check, cells in shown.items():
        table.add_row(check, *(_cell(rows[number], cells.get(number)) for number in range(len(rows))))
    if shown:
        out.print(table)
        used = {result.verdict for cells in shown.values() for result in cells.values()}
        shown_verdicts = [(verdict, *_MARKS[verdict]) for verdict in WORST_FIRST if verdict in used]
        legend = [f"[{colour}]{mark}[/{colour}] {verdict}" for verdict, colour, mark in shown_verdicts]
        out.print(f"\n{'  '.join(legend)}  [dim]( ) accepted by the baseline[/dim]\n")
    for number, row in enumerate(rows, 1):
        if row.checks is None:
            out.print(f"[bold]{number:>2}[/bold]  {safe(row.name)}  [red]not measured: {safe(row.reason)}[/red]")
            if row.hint:
                out.print(f"    {safe(row.hint)}")
        else:
            dialect = row.checks.dialect or "no known dialect"
            out.print(
                f"[bold]{number:>2}[/bold]  {safe(row.name)}  [dim]{safe(dialect)}, {row.checks.position}:"
                f" {_counted(row.checks.results)}[/dim]"
            )
            if row.checks.dialect_doubt:
                out.print(f"    [yellow]{safe(row.checks.dialect_doubt)}[/yellow]")
            _print_one_at_a_time(row.checks, "    ")
            _print_unfinished(row.checks, "    ")


def _cell(row: TargetChecks, result: CheckResult | None) -> str:
    if result is None:
        return "[dim]·[/dim]"
    colour, mark = _MARKS[result.verdict]
    return f"[dim]({mark})[/dim]" if result.id in row.accepted else f"[{colour}]{mark}[/{colour}]"


def _print_result(result: CheckResult, printed: set[str], *, accepted: bool) -> None:
    out.print(_headline(result) + ("  [dim]accepted by the baseline[/dim]" if accepted else ""))
    if result.verdict not in _FINDINGS:
        out.print(f"      {safe(result.actual)}")
        if result.profile:
            out.print(f"      level: {safe(result.profile)}")
        if result.needs:
            out.print(f"      needs: {safe(result.needs)}")
        return
    _print_rows(
        [
            *_rows(("requirement", result.statement), ("expected", result.expected), ("actual", result.actual)),
            *_rows(("level", result.profile)),
            *_evidence(result),
            *_reproduce(result, printed),
            *_fixes(result),
        ]
    )


def _headline(result: CheckResult) -> str:
    colour, mark = _MARKS[result.verdict]
    return f"  [{colour}]{mark} {result.id}[/{colour}]  [dim]{result.level}, {result.severity}, {result.basis}[/dim]"


def _evidence(result: CheckResult) -> Iterator[tuple[str, str]]:
    """Place and time of each piece of evidence; its bytes get a row of their own, so that they can be copied."""
    for item in result.evidence:
        note = f": {item.note}" if item.note else ""
        yield "evidence", safe(f"{item.place}{note}")
        if item.excerpt:
            yield " ", _quoted(item.excerpt, item.mark)


def _quoted(text: str, mark: int | None) -> str:
    """The excerpt, with the byte at the offset in reverse video."""
    if mark is None:
        return safe(text)
    return f"{safe(text[:mark])}[reverse]{safe(text[mark])}[/reverse]{safe(text[mark + 1 :])}"


def _rows(*rows: tuple[str, str | None]) -> list[tuple[str, str]]:
    """The rows that have a text, escaped for the terminal."""
    return [(name, safe(text)) for name, text in rows if text]


def _reproduce(result: CheckResult, printed: set[str]) -> list[tuple[str, str]]:
    """The request that repeats the finding. Many findings share a request, so it is printed in full only once."""
    if result.reproduce in printed:
        return _rows(("reproduce", "the same request as above"))
    printed.add(result.reproduce or "")
    return _rows(("reproduce", result.reproduce))


def _fixes(result: CheckResult) -> list[tuple[str, str]]:
    advice = "\n".join(result.advice)
    return _rows(("breaks", result.breaks), *(("fix", line) for line in advice.splitlines()))


def _print_rows(rows: Iterable[tuple[str, str]], indent: int = 6) -> None:
    last = None
    for name, shown in rows:
        label = "" if name == last else name
        out.print(f"{' ' * indent}[bold]{label:<12}[/bold] {shown}")
        last = name


def _print_open(measured: Sequence[ChecksFile]) -> None:
    """Count the checks that could not be tested, by the option that they need: once each, however many targets."""
    needs = dict.fromkeys(
        (result.id, result.needs)
        for checks in measured
        for result in checks.results
        if result.verdict is Verdict.INCONCLUSIVE
    )
    if not needs:
        return
    by_need = Counter(need for _, need in needs)
    out.print(
        f"\n[magenta]{plural(len({check for check, _ in needs}), 'check')} could not be tested.[/magenta] They need:"
    )
    for need, count in by_need.most_common():
        out.print(f"  {count:>3}  {safe(need)}")


def _print_upstream_errors(row: TargetChecks, checks: ChecksFile) -> None:
    """What the client gets for each failure of the upstream."""
    out.print(f"\n[bold]when the upstream fails[/bold]  {safe(row.name)}")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in UPSTREAM_ERROR_COLUMNS:
        table.add_column(name)
    for error in checks.upstream_errors:
        table.add_row(*map(safe, error.cells))
    out.print(table)


def _print_standing(row: TargetChecks, *, several: bool) -> None:
    of = f" of {safe(row.name)}" if several else ""
    if row.accepted:
        out.print(f"[dim]{plural(len(row.accepted), 'finding')}{of} accepted by the baseline[/dim]")
    for check in row.stale:
        advice = "remove the entry, or run --update-baseline"
        out.print(f"[red]{check}{of} is accepted by the baseline but passes now: {advice}[/red]")


def _print_conclusion(report: ChecksReport) -> None:
    """The last line: passed or failed, and by which rule."""
    measured = report.measured
    requests = sum(checks.requests for checks in measured)
    results = [result for checks in measured for result in checks.results]
    rows = report.targets
    whole = f"{plural(requests, 'request')}, {plural(len(results), 'check')}"
    if len(rows) > 1:
        whole += f" over {len(measured)} of {plural(len(rows), 'target')}"
    if any(result.verdict in _FINDINGS for result in results):
        out.print("\n[dim]`streamgauge explain ID` explains a check and shows how to make it fail.[/dim]")
    out.print(f"\n{whole}: {_counted(results)}")
    _print_spent(measured)
    failing = sum(len(row.failing) for row in rows)
    stale = sum(len(row.stale) for row in rows)
    why = [
        *([f"{plural(failing, 'finding')} (--fail-on {report.fail_on})"] if failing else []),
        *([f"{plural(stale, 'stale entry', 'stale entries')} of the baseline"] if stale else []),
        *([f"{plural(len(rows) - len(measured), 'target')} not measured"] if len(measured) < len(rows) else []),
    ]
    if report.interrupted:
        out.print("[red]interrupted[/red]")
    elif why:
        out.print(f"[bold red]failed[/bold red]: {', '.join(why)}")
    elif report.exit_code is ExitCode.CANNOT_MEASURE:
        undecided = dict.fromkeys(safe(checks.unfinished) for checks in measured if checks.unfinished)
        out.print(f"[bold yellow]undecided[/bold yellow]: {'; '.join(undecided)}")
    else:
        out.print("[bold green]passed[/bold green]")


def _print_spent(measured: Sequence[ChecksFile]) -> None:
    """The tokens that a real model has cost, and the checks that had to be left out."""
    spent = [checks.tokens_spent for checks in measured if checks.tokens_spent is not None]
    if spent:
        out.print(f"[dim]about {sum(spent):,} tokens spent at the model[/dim]")
    results = [result for checks in measured for result in checks.results]
    if left_out := dict.fromkeys(result.id for result in results if result.needs == LARGER_BUDGET):
        out.print(f"[yellow]left out, because too few tokens were left: {', '.join(left_out)}[/yellow]")


def _counted(results: Sequence[CheckResult]) -> str:
    counts = Counter(result.verdict for result in results)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST if counts[verdict])
