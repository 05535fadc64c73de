"""`streamgauge compare`: did the last build make it worse?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamgauge.cli import compare_files
from streamgauge.cli.console import err, out, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.comparing import compare as door
from streamgauge.comparing import words
from streamgauge.comparing.baseline import Baseline
from streamgauge.comparing.change import DEFAULT, parse_change
from streamgauge.comparing.report import CompareReport, Versus
from streamgauge.comparing.verdict import Finding, RuleVerdict
from streamgauge.errors import UsageError

_COLOURS = {
    RuleVerdict.REGRESSION: "red",
    RuleVerdict.NONE: "green",
    RuleVerdict.UNDECIDED: "yellow",
}
_FINDING_COLOURS = {Finding.WORSE: "red", Finding.BETTER: "green"}


@dataclass(frozen=True, kw_only=True)
class CompareFiles:
    """The files to write."""

    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Everything as JSON.")] = None
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Markdown, for a job summary.")
    ] = None
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="JUnit XML: a test for each --fail-on.")
    ] = None
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="A web page with the shift of every quantile; no network needed."),
    ] = None


@with_groups
def compare(
    *,
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Run directories of `load`: the base first. A side with several runs is a directory that holds them, "
            "or their names separated by commas.",
        ),
    ],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'METRIC > +CHANGE'",
            help="A change that fails the comparison: 'ttft p95 > +10%', 'itl p50 > +2ms', 'error_rate > +1pp', "
            f"'output_tokens_per_s < -5%' or 'checks'; repeatable. Default: {', '.join(map(str, DEFAULT))}.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compare one run with the baseline that is pinned here, and with the first one (slow drift).",
        ),
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="With --baseline: make this run the pinned baseline, whatever the verdict.")
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Compare runs of different workloads; the first line says what differs."),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the resampling.")] = 1,
    files: CompareFiles,
) -> None:
    """Compare runs of `load` with the first of them: differences with intervals, and a verdict that can be undecided.

    A difference is one only where its interval, the noise of the same target twice and this client's own error agree.
    A regression needs more: the change and its whole interval lie beyond a limit of --fail-on.

    Examples:

      streamgauge compare runs/yesterday runs/today

      streamgauge compare runs/base runs/new --fail-on "ttft p95 > +10%" --fail-on "error_rate > +1pp" --junit new.xml

      streamgauge compare runs/a1,runs/a2,runs/a3 runs/b1,runs/b2,runs/b3 --html compare.html

      streamgauge compare --baseline baselines/chat runs/nightly   (the first time with --pin)

    Exit codes: 0 no regression, and the intervals exclude one, 1 a regression, 2 usage, or the runs were not measured
    alike, 3 no verdict.
    """
    if pin and baseline is None:
        raise UsageError("--pin needs --baseline: it says where the baseline is kept", "add --baseline DIR")
    rules = [parse_change(text) for text in fail_on] if fail_on else DEFAULT  # before anything is read or written
    chosen = compare_files.prepare(
        {"json": files.json, "markdown": files.markdown, "junit": files.junit, "html": files.html}
    )
    options = door.CompareOptions(fail_on=rules, anyway=anyway, seed=seed)
    if baseline is not None and pin and _is_new(baseline, sides):
        return
    with err.status("reading ...") as status:
        options["progress"] = lambda text: status.update(safe(text))
        if baseline is None:
            report = door.compare(*sides, **options)
        else:
            report = door.compare_with_baseline(baseline, _one(sides), **options)
    print_report(report)
    compare_files.write(report, chosen)
    if baseline is not None and pin:
        store = Baseline(baseline)
        store.pin(sides[0], store.last)
        out.print(f"pinned {safe(sides[0])} in {safe(baseline)}")
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _one(sides: Sequence[str]) -> str:
    if len(sides) != 1:
        raise UsageError("--baseline compares one run with the baseline", "name one run directory")
    return sides[0]


def _is_new(directory: Path, sides: Sequence[str]) -> bool:
    """Pin the first run of a baseline: there is nothing yet to compare it with."""
    store = Baseline(directory)
    if store.file is not None:
        return False
    run = _one(sides)
    store.pin(run, store.remember(run, None))
    out.print(f"pinned {safe(run)} in {safe(directory)}: the first baseline")
    return True


def print_report(report: CompareReport) -> None:
    """Identity first, then the answer, the rules, the figures and what failed."""
    for versus in report.against:
        base, info = report.side(versus.base), report.side(versus.name)
        out.print(f"{base.name} {safe(base.label)} ({base.streams:,} streams) → {versus.name} {safe(info.label)} "
                  f"({info.streams:,} streams)")  # fmt: skip
        colour = "green" if versus.alike else "red"
        out.print(f"[{colour}]{safe(versus.identity)}[/{colour}]")
        out.print(f"[bold {_COLOURS[versus.verdict]}]{safe(words.headline(versus))}[/]\n")
        _print_versus(versus)
    if report.history:
        out.print("[bold]history of the baseline[/bold]")
        for line in report.history:
            out.print(f"  {safe(line)}")


def _print_versus(versus: Versus) -> None:
    out.print(_rules(versus))
    out.print()
    out.print(_rows(versus))
    for doubt in versus.doubts:
        out.print(f"[yellow]SUSPECT:[/yellow] {safe(doubt)}")
    if versus.failures:
        out.print("\n[bold]failures[/bold]")
        out.print(_failures(versus))
    if versus.checks:
        out.print("\n[bold]conformance verdicts that changed[/bold]")
        for change in versus.checks:
            colour = "red" if change.newly_fails else "cyan"
            out.print(f"  [{colour}]{safe(change.id)}[/{colour}] {change.a} → {change.b}")
    for note in versus.notes:
        out.print(f"\n{safe(note)}")
    out.print()


def _rules(versus: Versus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("fails on")
    table.add_column("measured (95 %)")
    table.add_column("", overflow="fold")
    for result in versus.rules:
        colour = _COLOURS[result.verdict]
        table.add_row(
            safe(result.rule), safe(result.measured or "-"), f"[{colour}]{safe(words.rule(result))}[/{colour}]"
        )
    return table


def _rows(versus: Versus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in (versus.base, versus.name, "change", "95 % interval", "A/A noise", "client"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in versus.rows:
        colour = _FINDING_COLOURS.get(row.finding)
        found = safe(words.finding(row))
        name = " ".join(part for part in (row.metric, row.statistic) if part)
        cells = [words.figure(row, row.a), words.figure(row, row.b), words.change(row), words.interval(row)]
        table.add_row(name, *cells, words.noise(row), words.floor(row), f"[{colour}]{found}[/]" if colour else found)
    return table


def _failures(versus: Versus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("outcome", "status"):
        table.add_column(column)
    for column in (versus.base, versus.name):
        table.add_column(column, justify="right")
    table.add_column("detail", overflow="fold")
    for row in versus.failures:
        status = "-" if row.status is None else str(row.status)
        table.add_row(safe(row.outcome), status, f"{row.a:,}", f"{row.b:,}", safe(row.detail[:160]))
    return table
