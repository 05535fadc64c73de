"""Checks several targets at once, each in a thread with a client of its own. An unreachable target is a row too."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

from streamgauge.conformance import daemon_threads, profiles
from streamgauge.conformance.bill import charge_for_settling
from streamgauge.conformance.gate import Accepted, FailOn, apply_baseline
from streamgauge.conformance.permissions import NOTHING, Allowed
from streamgauge.conformance.registry import Check
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import ChecksFile, Verdict
from streamgauge.conformance.run import check
from streamgauge.conformance.scenarios import scheduler
from streamgauge.conformance.scenarios.cost import Budget
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.endpoint.client import TOTAL_S, StreamClient, settle
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.signalr import refuse_hub
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import at_url, check_url
from streamgauge.errors import CannotMeasure, LimitExceeded
from streamgauge.leaks import quoted
from streamgauge.version import __version__

JOBS: Final = 10

Progress = Callable[[int, str, int, int], None]
"""The index of the target, what is being tried, how many scenarios are done, and how many there are."""


class CheckOptions(NamedTuple):
    """What to check in every target, and how to judge it."""

    selected: Sequence[Check]
    fail_on: FailOn = FailOn()
    allowed: Allowed = NOTHING
    pace: Pace | None = None
    baseline: Sequence[Accepted] = ()
    clients: bool = False
    schema: PayloadSchema | None = None
    via: str | None = None
    budget: Budget | None = None
    total_s: float = TOTAL_S


def measure(
    subject: CheckedTarget, options: CheckOptions, progress: scheduler.Progress = lambda *_: None
) -> ChecksFile:
    """Check one target with a client of its own. Raises CannotMeasure when there is no stream to judge."""
    refuse_hub(subject, "check")
    with ExitStack() as stack:
        client = stack.enter_context(StreamClient.to(subject, total_s=options.total_s))
        mock = stack.enter_context(MockControl.of(subject)) if subject.mock else None
        if mock is not None:
            mock.ping()
        progress("finding out how to ask", 0, 1)
        if options.budget is not None and mock is None:
            charge_for_settling(options.budget, subject)
        settled = settle(client, subject)
        return check(
            client,
            settled if options.via is None else through(settled, options.via),
            options.selected,
            reference=None if options.via is None else settled,
            mock=mock,
            public=subject.public,
            strict=Verdict.WARN in options.fail_on.verdicts,
            allowed=options.allowed,
            profile=None if subject.profile is None else profiles.by_name(subject.profile),
            schema=options.schema,
            pace=options.pace,
            guessed=not subject.settled,
            clients=options.clients,
            budget=options.budget,
            progress=progress,
        )


def through(target: Target, via: str) -> Target:
    """The same request to another address; if the address has no path, the target's path and query are kept."""
    parts, own = urlsplit(check_url(via)), urlsplit(target.url)
    if parts.path in ("", "/"):
        parts = parts._replace(path=own.path)
    return at_url(target, urlunsplit(parts._replace(query=parts.query or own.query)), instead=True)


def judged(subject: CheckedTarget, options: CheckOptions, checks: ChecksFile) -> TargetChecks:
    """The results of a target, and which of them fail the run."""
    standing = apply_baseline(checks.results, options.fail_on, options.baseline, subject.names)
    return TargetChecks(
        name=subject.label,
        target=subject.masked_url,
        checks=checks,
        failing=standing.failing,
        accepted=standing.accepted,
        stale=standing.stale,
        file=subject.file,
        line=subject.line,
    )


def rejudged(report: ChecksReport, subjects: Sequence[CheckedTarget], options: CheckOptions) -> ChecksReport:
    """The same results, judged by another rule or baseline."""
    rows = [
        row if row.checks is None else judged(subject, options, row.checks)
        for subject, row in zip(subjects, report.targets, strict=True)
    ]
    return msgspec.structs.replace(report, fail_on=options.fail_on.text, targets=rows)


def unmeasured(subject: CheckedTarget, reason: str, hint: str | None = None) -> TargetChecks:
    """The row of a target without results."""
    return TargetChecks(
        name=subject.label,
        target=subject.masked_url,
        reason=reason,
        hint=hint,
        file=subject.file,
        line=subject.line,
    )


def check_all(
    subjects: Sequence[CheckedTarget], options: CheckOptions, *, jobs: int = JOBS, progress: Progress = lambda *_: None
) -> ChecksReport:
    """Check the targets, `jobs` at a time, and report them in their order.

    A KeyboardInterrupt ends the run early: targets that are done keep their results, the others say why they have none.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tasks = [partial(row_of, subject, options, partial(progress, index)) for index, subject in enumerate(subjects)]
    rows = daemon_threads.start(tasks, at_once=jobs)
    interrupted = False
    try:
        daemon_threads.results(rows)
    except KeyboardInterrupt:
        interrupted = True
    return ChecksReport(
        streamgauge=__version__,
        started=started,
        fail_on=options.fail_on.text,
        interrupted=interrupted,
        targets=[
            row.result() if row.done() and row.exception() is None else unmeasured(subject, "interrupted")
            for row, subject in zip(rows, subjects, strict=True)
        ],
    )


def row_of(
    subject: CheckedTarget, options: CheckOptions, progress: scheduler.Progress = lambda *_: None
) -> TargetChecks:
    """Check one target: its results, or why there are none."""
    try:
        return judged(subject, options, measure(subject, options, progress))
    except (CannotMeasure, LimitExceeded) as error:
        return unmeasured(subject, quoted(error.message), error.hint and quoted(error.hint))
