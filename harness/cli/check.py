"""`streamgauge check`: does it speak the protocol?"""

import os
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness import checking
from harness.cli.check_files import write_files
from harness.cli.check_output import print_results, print_verdict
from harness.cli.console import err, out, safe
from harness.cli.options import with_target
from harness.client import StreamClient, settle
from harness.conformance.optins import LONG_NS, MAX_STREAMS, Allowed
from harness.conformance.registry import CHECKS, Check, failed, select
from harness.conformance.result import ChecksFile
from harness.errors import ExitCode, UsageError
from harness.target import Target
from harness.truth import Mock
from harness.units import SECOND, parse_bounded

_OPT_INS: Final = "What it may cost"


def _list(wanted: bool) -> None:
    if not wanted:
        return
    for group, members in groupby(select(), key=lambda check: check.group):
        out.print(f"[bold]{group}[/bold]")
        for check in members:
            needs = ["--mock"] if check.needs_mock else []
            needs += [opt_in.flag for opt_in in check.opt_ins]
            told = f"  [cyan](needs {' and '.join(needs)})[/cyan]" if needs else ""
            out.print(f"  {check.id:<42} {check.requirement.level:<6} {safe(check.requirement.statement)}{told}")
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
    print_results(checks, verbose=verbose)
    write_files(checks, junit, json_file, out_dir)
    stale = print_verdict(checks, expected)
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
