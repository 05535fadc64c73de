"""`streamgauge check`: does it speak the protocol?"""

import os
import re
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from streamgauge.cli.check_files import Files
from streamgauge.cli.check_list import Format, List, ListFormat
from streamgauge.cli.check_output import print_report
from streamgauge.cli.console import err, safe
from streamgauge.cli.options import with_subjects
from streamgauge.conformance import profiles
from streamgauge.conformance.baseline import read_baseline, read_expected_failures, write_baseline
from streamgauge.conformance.batch import JOBS, CheckOptions, check_all, rejudged
from streamgauge.conformance.gate import Accepted, parse_fail_on, renewed
from streamgauge.conformance.optins import LONG_NS, MAX_STREAMS, Allowed
from streamgauge.conformance.registry import CHECKS, select
from streamgauge.conformance.report import ChecksReport
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.endpoint.credentials import check_key
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.files import must_be_writable, read_file
from streamgauge.units import SECOND, parse_bounded

_OPT_INS: Final = "What it may cost"
_FILES: Final = "Files"
_GATE: Final = "What fails the run"


@with_subjects
def check(
    subjects: list[CheckedTarget],
    list_checks: List = False,  # noqa: ARG001 - acted on by its callback
    list_format: Format = ListFormat.TABLE,  # noqa: ARG001 - likewise
    only: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only checks whose id or group matches; repeatable.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave these out; repeatable.")] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="RULE",
            help="fail: an unmet MUST (the default); warn: an unmet SHOULD too; never; or critical, high, medium, low:"
            " whatever finding is so severe. Repeatable.",
            rich_help_panel=_GATE,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="The same as --fail-on warn.", rich_help_panel=_GATE, show_default=False),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Accepted findings, by target and check; one that is listed and met now fails the run.",
            rich_help_panel=_GATE,
        ),
    ] = None,
    update_baseline: Annotated[
        bool,
        typer.Option(
            "--update-baseline",
            help="Write what fails now into --baseline, and drop what is met.",
            rich_help_panel=_GATE,
            show_default=False,
        ),
    ] = False,
    expected_failures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A baseline in its plain form: ids, one a line, for every target.",
            rich_help_panel=_GATE,
        ),
    ] = None,
    via: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Check the path through the proxy at this URL, and the endpoint's own beside it: each finding says"
            " whose it is.",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON Schema that every payload must fit; or {'events': {NAME: SCHEMA}}, one for each event's name.",
        ),
    ] = None,
    long: Annotated[
        bool,
        typer.Option(
            "--long",
            help="Allow checks that wait, side by side: for heartbeats in a minute of silence, until a dead upstream is"
            " given up. A handful of requests; as many seconds as --max-duration says.",
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
            help="Allow checks that open many streams at once, to find the limits. About five requests for each of"
            " --max-streams, in 10 seconds with --mock; without it a real model answers them, and is paid.",
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
            help="Environment variable that holds a second user's key, for what one user may not do to another."
            " Three requests more; it goes where the first key goes and is never written down.",
            rich_help_panel=_OPT_INS,
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public/--no-public", help="The endpoint is meant to be open to everybody.")
    ] = False,
    clients: Annotated[
        bool,
        typer.Option(
            "--clients",
            help="Also replay the streams through the clients that people use, as the command clients does.",
            show_default=False,
        ),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"What weighs more or less: {', '.join(profiles.PROFILES)}; the vendor's own if not given.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check, not only findings.")] = False,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Targets that are checked at a time.")] = JOBS,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="All results as JSON.", rich_help_panel=_FILES)
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JUnit XML, for the tests tab of a CI.", rich_help_panel=_FILES)
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SARIF 2.1.0, for code scanning.", rich_help_panel=_FILES)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Markdown, for a job summary.", rich_help_panel=_FILES)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A page: checks and targets, the wire behind each.", rich_help_panel=_FILES),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="checks.json into a run directory, for `report`; several targets each get a directory in it.",
            rich_help_panel=_FILES,
        ),
    ] = None,
) -> None:
    """Check an endpoint against the event-stream standard, its dialect, and what popular clients need.

    Examples:

      streamgauge check http://localhost:8080/v1/chat/completions --junit report.xml --html report.html

      streamgauge check --targets targets.toml --baseline accepted.toml --fail-on high --markdown summary.md

      streamgauge check http://localhost:5000/api/chat --mock http://127.0.0.1:9000 --only flush --only 'cancel.*'

      streamgauge check http://localhost:5000/api/chat --mock http://127.0.0.1:9000 --long --allow-load

      streamgauge check http://localhost:5000/api/chat --via https://chat.example.com

      streamgauge check https://api.anthropic.com --dialect anthropic --api-key-env ANTHROPIC_API_KEY

      streamgauge check --list --format json

    Exit codes: 0 nothing that fails the run, 1 something, or one of several targets could not be checked, 2 usage,
    3 there was no stream to check.
    """
    selected = select(only or (), skip or ())
    if not selected:
        raise UsageError("--skip leaves no check to run", "--list prints them all")
    if update_baseline and baseline is None:
        raise UsageError("--update-baseline needs the file that it writes", "name it with --baseline FILE")
    rule = parse_fail_on([*(fail_on or ()), *(["warn"] if strict else [])])
    files = Files(json_file, junit, sarif, markdown, html, out_dir)
    files.prepare()
    accepted = _accepted(baseline, expected_failures, update=update_baseline)
    allowed = _allowed(long, max_duration, allow_load, max_streams, second_key)
    payloads = None if schema is None else _schema(schema)
    if via is not None:
        _check_via(via, subjects)
    asked = CheckOptions(selected, rule, allowed, baseline=accepted, clients=clients, schema=payloads, via=via)
    if public:
        subjects = [msgspec.structs.replace(subject, public=True) for subject in subjects]
    if profile is not None:
        subjects = [msgspec.structs.replace(subject, profile=profile) for subject in subjects]
    for name in {subject.profile for subject in subjects} - {None}:
        profiles.by_name(name or "")
    report = _run(subjects, asked, jobs)
    if update_baseline and baseline is not None and not report.interrupted:
        # Judged again by what is accepted from now on, so that every file tells the same.
        accepted = _renew(baseline, accepted, subjects, asked, report)
        report = rejudged(report, subjects, asked._replace(baseline=accepted))
    print_report(report, verbose=verbose)
    files.write(report)
    if report.interrupted and len(subjects) == 1:
        raise KeyboardInterrupt
    if not report.measured and len(subjects) == 1:
        raise CannotMeasure(report.targets[0].reason or "", report.targets[0].hint)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _check_via(via: str, subjects: list[CheckedTarget]) -> None:
    if len(subjects) > 1:
        raise UsageError("--via is a second path to one endpoint, and several are given", "give one URL")
    if not re.match(r"https?://[^/]", via):
        raise UsageError(f"--via takes an http:// or https:// URL, got {via!r}", "the address of the proxy")


def _accepted(baseline: Path | None, expected_failures: Path | None, *, update: bool) -> list[Accepted]:
    """What both kinds of file accept; the one that is to be written need not exist yet."""
    accepted = [] if expected_failures is None else read_expected_failures(expected_failures, CHECKS)
    if baseline is not None and not (update and not baseline.exists()):
        accepted += read_baseline(baseline, CHECKS)
    if update and baseline is not None:
        must_be_writable(baseline)
    return accepted


def _renew(
    path: Path, accepted: list[Accepted], subjects: list[CheckedTarget], asked: CheckOptions, report: ChecksReport
) -> list[Accepted]:
    """Write the baseline as this run would have it, and give it."""
    for subject, row in zip(subjects, report.targets, strict=True):
        if row.checks is not None:
            accepted = renewed(accepted, subject.names, row.checks.results, asked.fail_on)
    write_baseline(path, accepted)
    err.print(f"{path} accepts {len(accepted)} finding{'s' * (len(accepted) != 1)}")
    return accepted


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
    if key is not None and second_key is not None:
        check_key(key, second_key)
    return Allowed(
        long_ns=long_ns if long else None,
        streams=(max_streams or MAX_STREAMS) if allow_load else None,
        second_key=key,
    )


def _schema(path: Path) -> PayloadSchema:
    try:
        return PayloadSchema(read_file(path), f"--schema {path}")
    except OSError as error:
        raise UsageError(f"--schema {path} cannot be read: {error.strerror}") from None


def _run(subjects: list[CheckedTarget], asked: CheckOptions, jobs: int) -> ChecksReport:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks = [bar.add_task(_doing(subject, "waiting", len(subjects)), total=1) for subject in subjects]

        def progress(index: int, what: str, done: int, total: int) -> None:
            told = _doing(subjects[index], what, len(subjects))
            bar.update(tasks[index], description=told, completed=done, total=total)

        return check_all(subjects, asked, jobs=jobs, progress=progress)


def _doing(subject: CheckedTarget, what: str, count: int) -> str:
    return what if count == 1 else f"{safe(subject.label)}: {what}"
