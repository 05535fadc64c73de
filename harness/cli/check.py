"""`streamgauge check`: does the endpoint follow the protocol?"""

import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from streamgauge.cli.check_cost import announce, print_bill
from streamgauge.cli.check_options import CostOptions, FileOptions, GateOptions
from streamgauge.cli.check_output import print_report
from streamgauge.cli.check_subject import SelectionOptions, SubjectOptions
from streamgauge.cli.console import err, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetsOptions, Urls
from streamgauge.conformance.baseline import write_baseline
from streamgauge.conformance.batch import JOBS, CheckOptions, check_all, rejudged
from streamgauge.conformance.check import payload_schema
from streamgauge.conformance.gate import Accepted, renewed
from streamgauge.conformance.report import ChecksReport
from streamgauge.conformance.scenarios.cost import Budget
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.errors import CannotMeasure
from streamgauge.units import plural

_LINE_EVERY_S: Final = 15.0


@with_groups
def check(
    *,
    urls: Urls = None,
    selection: SelectionOptions,
    subject: SubjectOptions,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check, not only the findings.")] = False,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Targets to check at the same time.")] = JOBS,
    gate: GateOptions,
    costs: CostOptions,
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

      streamgauge check http://localhost:8000/v1/chat/completions --dry-run

      streamgauge check --list --format json

    Exit codes: 0 no finding fails the run, 1 a finding does, or one of several targets could not be checked, 2 usage,
    3 there was no stream to check, or nothing failed but the check could not be finished: the endpoint stopped
    answering, or the time was over.
    """
    subjects = targets.targets(urls)
    selected = selection.checks()
    rule = gate.rule()
    written = files.files()
    written.prepare()
    options = CheckOptions(
        selected,
        rule,
        baseline=gate.accepted(),
        allowed=costs.allowed(),
        total_s=costs.total_s(),
        clients=subject.clients,
        schema=None if subject.schema is None else payload_schema(subject.schema),
        via=subject.proxy(len(subjects)),
        budget=Budget(costs.max_tokens_spent),
    )
    subjects = [subject.assumed_of(one) for one in subjects]
    if costs.dry_run:
        print_bill(subjects, options)
        return
    announce(subjects, options)
    report = _run(subjects, options, jobs)
    if gate.update_baseline and gate.baseline is not None and not report.interrupted:
        # Judge again with the new baseline, so that every output file agrees with it.
        options = options._replace(baseline=_renew(gate.baseline, subjects, options, report))
        report = rejudged(report, subjects, options)
    print_report(report, verbose=verbose)
    written.write(report)
    _exit(report)


def _renew(path: Path, subjects: list[CheckedTarget], options: CheckOptions, report: ChecksReport) -> list[Accepted]:
    """Write the baseline that accepts the findings which fail in this report, and return its entries."""
    accepted = list(options.baseline)
    for subject, row in zip(subjects, report.targets, strict=True):
        if row.checks is not None:
            accepted = renewed(accepted, subject.names, row.checks.results, options.fail_on)
    write_baseline(path, accepted)
    err.print(f"{safe(path)} accepts {plural(len(accepted), 'finding')}")
    return accepted


def _run(subjects: list[CheckedTarget], options: CheckOptions, jobs: int) -> ChecksReport:
    """Check the targets, with a progress bar for each in a terminal. Elsewhere a line now and then says what is under
    way.
    """
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks = [bar.add_task(_doing(subject, "waiting", len(subjects)), total=1) for subject in subjects]

        printed_s = time.monotonic()

        def progress(index: int, doing: str, done: int, total: int) -> None:
            nonlocal printed_s
            text = _doing(subjects[index], doing, len(subjects))
            bar.update(tasks[index], description=text, completed=done, total=total)
            if not err.is_terminal and time.monotonic() - printed_s >= _LINE_EVERY_S:
                printed_s = time.monotonic()
                err.print(safe(f"{text} ({done} of {total} done)"))

        return check_all(subjects, options, jobs=jobs, progress=progress)


def _doing(subject: CheckedTarget, doing: str, count: int) -> str:
    return doing if count == 1 else f"{safe(subject.label)}: {doing}"


def _exit(report: ChecksReport) -> None:
    """Exit with the report's code. Raises CannotMeasure, with the reason, when the only target gave no stream."""
    if len(report.targets) == 1 and report.interrupted:
        raise KeyboardInterrupt
    if len(report.targets) == 1 and not report.measured:
        raise CannotMeasure(report.targets[0].reason or "", report.targets[0].hint)
    if report.exit_code:
        raise typer.Exit(report.exit_code)
