"""`streamgauge capacity`: the largest load that an endpoint holds while it meets its objectives."""

from collections.abc import Sequence
from pathlib import Path

import typer

from streamgauge.capacity.answer import Ending
from streamgauge.capacity.file import FILE, CapacityFile
from streamgauge.capacity.fleet import OneReplica
from streamgauge.capacity.history import NAME
from streamgauge.capacity.measure import Conditions, sizes_of
from streamgauge.capacity.run import Request, find_capacity
from streamgauge.cli.capacity_options import (
    BudgetOptions,
    CapacityPrompts,
    FleetOptions,
    PointOptions,
    SearchOptions,
    SessionOptions,
)
from streamgauge.cli.capacity_output import print_capacity, show_event, show_preview, silent_load
from streamgauge.cli.console import err, out, print_error, safe
from streamgauge.cli.option_groups import with_groups
from streamgauge.cli.options import TargetOptions, Url
from streamgauge.cli.rendering import write_reports
from streamgauge.endpoint.target import Target
from streamgauge.errors import ExitCode, StreamgaugeError
from streamgauge.loadgen.model import count_processes
from streamgauge.rundir import runs
from streamgauge.rundir.default_directory import default_directory
from streamgauge.units import SECOND, parse_bounded


@with_groups
def capacity(
    *,
    url: Url = None,
    search: SearchOptions,
    budget: BudgetOptions,
    fleet: FleetOptions,
    points: PointOptions,
    prompts: CapacityPrompts,
    sessions: SessionOptions,
    target: TargetOptions,
) -> None:
    """Find the largest load that an endpoint holds while it meets its objectives, with an interval and the reason.

    The load is doubled until an objective is missed, and then bisected. A point passes or fails only where its streams
    leave no doubt; otherwise it is measured for longer. Both ends are measured again, in random order. A client that
    was itself the limit ends the search and is named; it never counts against the endpoint.

    Examples:

      streamgauge capacity http://localhost:8080/v1/chat/completions --slo "ttft p95 < 500ms" --slo "itl p99 < 80ms"

      streamgauge capacity --target target.toml --slo "ttft p95 < 1s" --at-least 50 --quick   (for CI)

      streamgauge capacity --target target.toml --slo "goodput > 95%" --slo "ttft p95 < 2s" --axis rate --start 0.5

      streamgauge capacity --target target.toml --slo "ttft p95 < 2s where turn > 1" --axis sessions --replay chats.json

      streamgauge capacity --target target.toml --slo "ttft p95 < 1s" --price 0.15,0.60 --max-cost 5 --dry-run

      streamgauge capacity --target target.toml --slo "ttft p95 < 1s" --out runs/night --resume

    Exit codes: 0 the interval is known (and holds --at-least), 1 it does not hold --at-least or not even the smallest
    load, 2 usage, 3 undecided, 4 the client was the limit, 130 interrupted; what was known by then is printed.
    """
    objectives = search.objectives()
    plan = search.plan(objectives)
    limits = budget.limits()
    directory = points.directory or default_directory("capacity")
    given = target.target(url)
    has_place = given.request().prompt is not None
    wanted = prompts.keywords()
    sizes = sizes_of(given, wanted, sessions.conversations(search.axis), unique=has_place and not prompts.same_prompts)
    show_preview(given.masked_url, plan, limits, sizes)
    if budget.dry_run:
        return
    if not has_place and not prompts.same_prompts:
        err.print("[yellow]caveat:[/yellow] the request has no place for a prompt: every stream asks for the same")
    request = Request(
        plan=plan,
        conditions=Conditions(
            target=given,
            objectives=objectives,
            confidence=search.confidence / 100,
            prompts=wanted,
            nonce=has_place and not prompts.same_prompts,
            processes=count_processes(points.processes),
            think_time=points.think_time,
            abandon=points.abandon,
            trace=sessions.keywords(search.axis),
            drain_s=parse_bounded(points.drain, "--drain") / SECOND,
            replica_header=fleet.replica_header,
            replica_address=fleet.replica_address,
            server_metrics=points.server_metrics,
            reset_cache=points.reset_cache,
            calibration=runs.calibration(points.calibration, directory),
        ),
        budget=limits,
        directory=directory,
        resume=points.resume,
        at_least=search.at_least,
        fleet=fleet.request(),
    )
    replicas = [target.target(replica) for replica in fleet.replica_url or []]
    found = _searched(request, replicas)
    print_capacity(found)
    runs.write(directory / FILE, found)
    out.print(f"wrote {safe(directory / FILE)}")
    _write_reports(directory)
    code = exit_code(found, search.at_least)
    if code:
        raise typer.Exit(code)


def _write_reports(directory: Path) -> None:
    """Write the reports. A failure is printed, and the verdict of the search still decides the exit code."""
    try:
        for path in write_reports(directory):
            out.print(f"wrote {safe(path)}")
    except StreamgaugeError as error:
        print_error(error)


def _searched(request: Request, replicas: Sequence[Target]) -> CapacityFile:
    """The search, after one of each replica alone. An interruption ends all."""
    each = []
    for number, replica in enumerate(replicas, 1):
        err.print(f"replica {number} of {len(replicas)}: {safe(replica.masked_url)}")
        alone = request._replace(
            conditions=request.conditions._replace(target=replica, server_metrics=None),
            directory=request.directory / f"replica-{number}",
            resume=request.resume and (request.directory / f"replica-{number}" / NAME).is_file(),
        )
        found = find_capacity(alone, show_event, silent_load)
        runs.write(alone.directory / FILE, found)
        err.print(f"replica {number}: {safe(found.answer.headline)}")
        if found.interrupted:
            return found
        each.append(OneReplica(replica.masked_url, found.answer.low, found.answer.high))
    resume = request.resume and (not each or (request.directory / NAME).is_file())
    return find_capacity(request._replace(each=each, resume=resume), show_event, silent_load)


def exit_code(found: CapacityFile, at_least: float | None) -> int:
    """The exit code of a search."""
    answer = found.answer
    if found.interrupted:
        return ExitCode.INTERRUPTED
    met = answer.met(at_least) if at_least is not None else None
    if met is not None:
        return ExitCode.OK if met else ExitCode.FAILED
    if answer.ending is Ending.CLIENT_LIMITED:
        return ExitCode.CLIENT_LIMITED
    if at_least is not None or answer.ending is Ending.UNDECIDED:
        return ExitCode.CANNOT_MEASURE
    return ExitCode.FAILED if answer.ending is Ending.NOTHING_PASSED else ExitCode.OK
