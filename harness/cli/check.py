"""`streamgauge check`: does it speak the protocol?"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from streamgauge.cli.check_list import Format, List, ListFormat
from streamgauge.cli.check_options import CostOptions, FileOptions, GateOptions
from streamgauge.cli.check_output import print_report
from streamgauge.cli.console import err, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetsOptions, Urls
from streamgauge.conformance import profiles
from streamgauge.conformance.baseline import write_baseline
from streamgauge.conformance.batch import JOBS, CheckOptions, check_all, rejudged
from streamgauge.conformance.check import checked_via, payload_schema, selected_checks
from streamgauge.conformance.gate import Accepted, renewed
from streamgauge.conformance.report import ChecksReport
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.units import plural


@with_groups
def check(
    *,
    urls: Urls = None,
    list_checks: List = False,  # noqa: ARG001 - its callback acts on it
    list_format: Format = ListFormat.TABLE,  # noqa: ARG001 - its callback acts on it
    only: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only checks whose id or group matches; repeatable.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave these out; repeatable.")] = None,
    gate: GateOptions,
    via: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Check the endpoint through the proxy at this URL, and without it: each finding says whether it is the"
            " proxy's or the endpoint's.",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON Schema that every payload must fit; or {'events': {NAME: SCHEMA}}, one for each event name.",
        ),
    ] = None,
    costs: CostOptions,
    public: Annotated[
        bool, typer.Option("--public/--no-public", help="The endpoint is meant to be open to everybody.")
    ] = False,
    clients: Annotated[
        bool,
        typer.Option(
            "--clients",
            help="Also replay the streams through popular clients, as the command clients does.",
            show_default=False,
        ),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Raises or lowers the levels of checks: {', '.join(profiles.PROFILES)}; by dialect if not given.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check, not only findings.")] = False,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Targets to check at the same time.")] = JOBS,
    files: FileOptions,
    targets: TargetsOptions,
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
    subjects = targets.targets(urls)
    selected = selected_checks(only or (), skip or ())
    rule = gate.rule()
    written = files.files()
    written.prepare()
    options = CheckOptions(
        selected,
        rule,
        baseline=gate.accepted(),
        allowed=costs.allowed(),
        clients=clients,
        schema=None if schema is None else payload_schema(schema),
        via=None if via is None else _one_via(via, subjects),
    )
    subjects = [_assuming(subject, public, profile) for subject in subjects]
    report = _run(subjects, options, jobs)
    if gate.update_baseline and gate.baseline is not None and not report.interrupted:
        # Judged again by the new baseline, so that every file says the same.
        options = options._replace(baseline=_renew(gate.baseline, subjects, options, report))
        report = rejudged(report, subjects, options)
    print_report(report, verbose=verbose)
    written.write(report)
    _exit(report)


def _one_via(via: str, subjects: list[CheckedTarget]) -> str:
    if len(subjects) > 1:
        raise UsageError("--via is a second path to one endpoint, and several are given", "give one URL")
    return checked_via(via)


def _assuming(subject: CheckedTarget, public: bool, profile: str | None) -> CheckedTarget:
    """The target with what the options say of it. Raises UsageError on a profile that does not exist."""
    subject = msgspec.structs.replace(subject, public=public or subject.public, profile=profile or subject.profile)
    if subject.profile is not None:
        profiles.by_name(subject.profile)
    return subject


def _renew(path: Path, subjects: list[CheckedTarget], options: CheckOptions, report: ChecksReport) -> list[Accepted]:
    """Write the baseline that accepts what fails in this report, and return its entries."""
    accepted = list(options.baseline)
    for subject, row in zip(subjects, report.targets, strict=True):
        if row.checks is not None:
            accepted = renewed(accepted, subject.names, row.checks.results, options.fail_on)
    write_baseline(path, accepted)
    err.print(f"{path} accepts {plural(len(accepted), 'finding')}")
    return accepted


def _run(subjects: list[CheckedTarget], options: CheckOptions, jobs: int) -> ChecksReport:
    """Check the targets, with a progress bar for each in a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks = [bar.add_task(_doing(subject, "waiting", len(subjects)), total=1) for subject in subjects]

        def progress(index: int, doing: str, done: int, total: int) -> None:
            text = _doing(subjects[index], doing, len(subjects))
            bar.update(tasks[index], description=text, completed=done, total=total)

        return check_all(subjects, options, jobs=jobs, progress=progress)


def _doing(subject: CheckedTarget, doing: str, count: int) -> str:
    return doing if count == 1 else f"{safe(subject.label)}: {doing}"


def _exit(report: ChecksReport) -> None:
    """End with the report's exit code; of a single target that gave nothing, with the reason."""
    if len(report.targets) == 1 and report.interrupted:
        raise KeyboardInterrupt
    if len(report.targets) == 1 and not report.measured:
        raise CannotMeasure(report.targets[0].reason or "", report.targets[0].hint)
    if report.exit_code:
        raise typer.Exit(report.exit_code)
