"""`streamgauge check`: does it speak the protocol?"""

import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness import checking, runs
from harness.cli.console import err, out, safe
from harness.cli.options import with_target
from harness.client import StreamClient, settle
from harness.conformance.optins import LONG_NS, MAX_STREAMS, Allowed
from harness.conformance.registry import CHECKS, Check, failed, select
from harness.conformance.result import CheckResult, ChecksFile, Verdict
from harness.errors import ExitCode, UsageError
from harness.target import Target
from harness.truth import Mock
from harness.units import SECOND, parse_bounded

_MARKS: Final = {
    Verdict.PASS: ("green", "✓"),
    Verdict.FAIL: ("red", "✗"),
    Verdict.WARN: ("yellow", "!"),
    Verdict.INFO: ("cyan", "i"),
    Verdict.NOT_APPLICABLE: ("dim", "-"),
    Verdict.INCONCLUSIVE: ("magenta", "?"),
    Verdict.ERROR: ("red", "E"),
}
_OPT_INS: Final = "What it may cost"
_TOLD: Final = (Verdict.ERROR, Verdict.FAIL, Verdict.WARN)


def _list(wanted: bool) -> None:
    if not wanted:
        return
    for group, members in groupby(select(), key=lambda check: check.entry.group):
        out.print(f"[bold]{group}[/bold]")
        for check in members:
            needs = ["--mock"] if check.needs_mock else []
            needs += [opt_in.flag for opt_in in check.opt_ins]
            told = f"  [cyan](needs {' and '.join(needs)})[/cyan]" if needs else ""
            out.print(f"  {check.id:<42} {check.entry.level:<6} {safe(check.entry.statement)}{told}")
    out.print(f"\n{len(CHECKS)} checks")
    raise typer.Exit


@with_target
def check(
    target: Target,
    list_checks: Annotated[  # noqa: ARG001 - acted on by its callback
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Print every check and leave.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only checks whose id or group matches; repeatable.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave these out; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail the run too.")] = False,
    long: Annotated[
        bool,
        typer.Option(
            "--long",
            help="Allow checks that wait: for heartbeats in a minute of silence, for a dead upstream to be given up."
            " A handful of requests; as long as --max-duration says.",
            rich_help_panel=_OPT_INS,
            show_default=False,
        ),
    ] = False,
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration",
            metavar="DURATION",
            help=f"With --long: the longest that one wait may take; {LONG_NS // SECOND}s.",
            rich_help_panel=_OPT_INS,
        ),
    ] = None,
    allow_load: Annotated[
        bool,
        typer.Option(
            "--allow-load",
            help="Allow checks that open many streams at once, to find the limits: some --max-streams at a time,"
            " a few times over; up to a minute.",
            rich_help_panel=_OPT_INS,
            show_default=False,
        ),
    ] = False,
    max_streams: Annotated[
        int | None,
        typer.Option(
            "--max-streams",
            metavar="N",
            min=2,
            max=1000,
            help=f"With --allow-load: how many streams at once; {MAX_STREAMS}.",
            rich_help_panel=_OPT_INS,
        ),
    ] = None,
    second_key: Annotated[
        str | None,
        typer.Option(
            "--second-key",
            metavar="VAR",
            help="Environment variable that holds a second user's key, for what one user may not do to another:"
            " a few requests; it goes where the first key goes and is never written down.",
            rich_help_panel=_OPT_INS,
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public/--no-public", help="The endpoint is meant to be open to everybody.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check, not only findings.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, for CI.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write checks.json into a run directory.")
    ] = None,
    expected_failures: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ids, one a line, that may fail; one that passes now fails the run."),
    ] = None,
) -> None:
    """Check an endpoint against the event-stream standard, its dialect, and what popular clients need.

    Examples:

      streamgauge check http://localhost:8080/v1/chat/completions --junit report.xml

      streamgauge check http://localhost:5000/api/chat --mock http://127.0.0.1:9000 --only flush --only 'cancel.*'

      streamgauge check http://localhost:5000/api/chat --mock http://127.0.0.1:9000 --long --allow-load

    Exit codes: 0 no check failed, 1 one did, 2 usage, 3 there was no stream to check.
    """
    selected = select(only or (), skip or ())
    if not selected:
        raise UsageError("--skip leaves no check to run", "--list prints them all")
    expected = _read_expected(expected_failures) if expected_failures else frozenset[str]()
    for file in (junit, json_file):
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"cannot write {file}: its directory does not exist")
    allowed = _allowed(long, max_duration, allow_load, max_streams, second_key)
    checks = _run(target, selected, public=public, strict=strict, allowed=allowed)
    _print_results(checks, verbose=verbose)
    _write(checks, junit, json_file, out_dir)
    stale = _print_verdict(checks, expected)
    if stale or any(result.id not in expected for result in failed(checks.results, strict=strict)):
        raise typer.Exit(ExitCode.FAILED)


def _allowed(
    long: bool, max_duration: str | None, allow_load: bool, max_streams: int | None, second_key: str | None
) -> Allowed:
    """What the flags permit. Raises UsageError on one that has no effect, and on a variable that is not set."""
    if max_duration is not None and not long:
        raise UsageError("--max-duration bounds the waits of --long, which is not given", "add --long")
    if max_streams is not None and not allow_load:
        raise UsageError("--max-streams bounds what --allow-load allows, which is not given", "add --allow-load")
    long_ns = parse_bounded(max_duration, "--max-duration") if max_duration is not None else LONG_NS
    if long_ns <= 0:
        raise UsageError("--max-duration must be more than 0", "write for example 90s")
    key = None if second_key is None else os.environ.get(second_key)
    if second_key is not None and not key:
        raise UsageError(f"the environment variable {second_key} is not set", "export it, or drop --second-key")
    return Allowed(
        long_ns=long_ns if long else None,
        streams=(max_streams or MAX_STREAMS) if allow_load else None,
        second_key=key,
    )


def _run(target: Target, selected: list[Check], *, public: bool, strict: bool, allowed: Allowed) -> ChecksFile:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    with StreamClient.to(target) as client:
        mock = Mock.of(target) if target.mock else None
        try:
            if mock is not None:
                mock.clock()
            with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
                task = bar.add_task("finding out how to ask", total=1)
                return checking.check(
                    client,
                    settle(client, target),
                    selected,
                    mock=mock,
                    public=public,
                    strict=strict,
                    allowed=allowed,
                    progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
                )
        finally:
            if mock is not None:
                mock.close()


def _read_expected(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--expected-failures {path} cannot be read: {error}") from None
    ids = [text for line in lines if (text := line.partition("#")[0].strip())]
    unknown = [check_id for check_id in ids if check_id not in CHECKS]
    if unknown:
        raise UsageError(f"{path} names no check: {unknown[0]!r}", "one id a line, # begins a comment; see --list")
    return frozenset(ids)


def _print_results(checks: ChecksFile, *, verbose: bool) -> None:
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
    rows += [("reproduce", result.reproduce), ("breaks", result.breaks), ("fix", result.fix)]
    for name, text in rows:
        if text:
            out.print(f"      [bold]{name:<12}[/bold] {safe(text)}")


def _write(checks: ChecksFile, junit: Path | None, json_file: Path | None, out_dir: Path | None) -> None:
    try:
        if out_dir is not None:
            out_dir.mkdir(parents=True, exist_ok=True)
            runs.write(out_dir / runs.CHECKS, checks)
        if json_file is not None:
            runs.write(json_file, checks)
        if junit is not None:
            from reports.junit import junit_xml  # reports are loaded only where they are asked for

            junit.write_text(junit_xml(checks), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from None


def _print_verdict(checks: ChecksFile, expected: frozenset[str]) -> list[str]:
    """The closing lines; returns the expected failures that pass now."""
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
