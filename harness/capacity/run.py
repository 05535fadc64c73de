"""Runs a search against an endpoint: one load a point, a pause between two points, a history of all of them.

Nothing is printed here: events go to a callback, and the result is a value.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.capacity.answer import answer
from streamgauge.capacity.budget import Budget, affordable, spent
from streamgauge.capacity.drain import Gauge, drain, gauge_of
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.fleet import FleetRequest, OneReplica, fleet_of
from streamgauge.capacity.history import Header, History, read_history
from streamgauge.capacity.measure import Conditions, measure, was_interrupted
from streamgauge.capacity.point import Observation, Point, judge
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.errors import CannotMeasure
from streamgauge.loadgen.progress import LoadProgress
from streamgauge.rundir import runs
from streamgauge.serverlane.reset import reset_cache

POINTS: Final = "points"
_PAUSE_S: Final = 1.0


class Asking(NamedTuple):
    """A point is about to be measured."""

    number: int
    probe: Probe


class Measured(NamedTuple):
    """A point was measured, or taken from an earlier history."""

    number: int
    point: Point
    resumed: bool


SearchEvent = Asking | Measured
SearchProgress = Callable[[SearchEvent], None]


class Request(NamedTuple):
    """A search to run: what to look for, under which conditions, and where its files go."""

    plan: SearchPlan
    conditions: Conditions
    budget: Budget
    directory: Path
    resume: bool = False
    at_least: float | None = None
    fleet: FleetRequest = FleetRequest()
    each: Sequence[OneReplica] = ()
    drain_limit_s: float = 60.0

    def settings(self) -> dict[str, Any]:
        """What must be the same when a search is continued: the points of other settings would not fit."""
        conditions = self.conditions
        return {
            "plan": msgspec.to_builtins(self.plan),
            "objectives": [str(objective) for objective in conditions.objectives],
            "confidence": conditions.confidence,
            "prompts": {name: str(value) for name, value in conditions.prompts.items() if value is not None},
            "nonce": conditions.nonce,
            "processes": conditions.processes,
            "think_time": conditions.think_time,
            "abandon": conditions.abandon,
            **({"trace": {name: str(value) for name, value in conditions.trace.items()}} if conditions.trace else {}),
        }


def find_capacity(request: Request, progress: SearchProgress, load_progress: LoadProgress) -> CapacityFile:
    """Search to the end, or until a budget, a limit or Ctrl-C stops it; what was measured by then is kept.

    Raises CannotMeasure when the first point gives no stream, and UsageError on input that cannot be used.
    """
    directory, conditions = request.directory, request.conditions
    runs.must_take_a_run(directory)
    header = Header(target=conditions.target.masked_url, settings=request.settings())
    search = Search(request.plan)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    earlier = read_history(directory, header) if request.resume else []
    directory.mkdir(parents=True, exist_ok=True)
    history = History(directory, header)
    for taken in earlier:
        if search.next != taken.probe:
            break  # an earlier version asked other questions from here on: measure again
        _take(search, history, taken.probe, taken.observation, progress, resumed=True)
    history.write()
    interrupted = False
    try:
        with gauge_of(conditions.target, conditions.server_metrics) as gauge:
            interrupted = _go_on(search, request, gauge, history, progress, load_progress)
    except KeyboardInterrupt:
        interrupted = True
    if interrupted:
        search.stop("it was interrupted")
    return CapacityFile(
        target=conditions.target.masked_url,
        started=started,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=request.settings(),
        objectives=[str(objective) for objective in conditions.objectives],
        confidence=conditions.confidence,
        machine=runs.this_machine(),
        calibration=conditions.calibration,
        interrupted=interrupted,
        at_least=request.at_least,
        answer=answer(search),
        fleet=fleet_of(search, request.fleet, request.each),
        spent=spent(search.points),
        points=search.points,
    )


def _go_on(
    search: Search,
    request: Request,
    gauge: Gauge | None,
    history: History,
    progress: SearchProgress,
    load_progress: LoadProgress,
) -> bool:
    """Measure until there is nothing left to ask; whether Ctrl-C ended it."""
    while (probe := affordable(search, request.budget)) is not None:
        pause_s = 0.0
        if search.points and probe.rests:
            drained = drain(gauge, _PAUSE_S, request.drain_limit_s)
            pause_s = drained.seconds
            if drained.left:
                search.stop(
                    f"the endpoint still had {drained.left:,} streams {drained.seconds:.0f} s after the load had ended"
                )
                break
        if probe.rests and (reason := _not_reset(request.conditions)) is not None:
            search.stop(f"the server's cache could not be emptied: {reason}")
            break
        number = len(search.points) + 1
        progress(Asking(number, probe))
        began_s = time.monotonic()
        place = request.directory / POINTS / f"{number:03d}-{probe.axis.value}-{probe.load:g}"
        try:
            seen = measure(probe, request.conditions, place, load_progress)
        except CannotMeasure as error:
            if not search.points:
                raise
            seen = Observation(seconds=0.0, requests=0, unusable=error.message)
        if was_interrupted(seen):
            return True
        seen = msgspec.structs.replace(seen, took_s=round(time.monotonic() - began_s + pause_s, 3))
        _take(search, history, probe, seen, progress, resumed=False)
    return False


def _not_reset(conditions: Conditions) -> str | None:
    """Why the cache of the server was not emptied, where it should be; None when it was."""
    return None if conditions.reset_cache is None else reset_cache(conditions.target, conditions.reset_cache)


def _take(
    search: Search, history: History, probe: Probe, seen: Observation, progress: SearchProgress, *, resumed: bool
) -> None:
    point = judge(probe, seen)
    history.add(probe, seen)
    search.take(point)
    progress(Measured(len(search.points), point, resumed))
