"""Points of a search with a given verdict, for tests of the search alone."""

from collections.abc import Callable, Mapping
from typing import Any

from streamgauge.capacity.client import Trouble
from streamgauge.capacity.figure import Figure
from streamgauge.capacity.point import Observation, Point, Verdict
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.metrics.intervals import Decision

SLO = "ttft p95 < 500ms"
Judge = Callable[[Probe], Verdict | str]


def point(
    probe: Probe, verdict: Verdict | str, *, rate: float | None = None, figure: Mapping[str, Any] = {}, **more: Any
) -> Point:
    """A point; the words `client` (without CPU time) and `disturbed` make an undecided one of that kind."""
    client, disturbed = verdict == "client", verdict == "disturbed"
    decided = Verdict.UNDECIDED if isinstance(verdict, str) and not isinstance(verdict, Verdict) else verdict
    margin = {Verdict.PASS: 0.3, Verdict.FAIL: -0.3, Verdict.UNDECIDED: 0.0}[decided]
    seen = Observation(
        seconds=probe.seconds,
        requests=100,
        ok=100,
        streams_per_s=probe.load if rate is None else rate,
        residence_s=1.0,
        figures=[
            Figure(
                slo=SLO,
                value=500e6 * (1 - margin),
                total=100,
                needed=59,
                margin=margin,
                decision=Decision(decided.value),
                **figure,
            )
        ],
        client="SUSPECT" if client else "VALID",
        troubles=[Trouble.CPU] if client else [],
        unusable="Locust was killed" if disturbed else None,
        **more,
    )
    return Point(probe=probe, observation=seen, verdict=decided, reason="as scripted", client_limited=client)


def run(
    judge: Judge,
    *,
    most_points: int = 60,
    seen: Callable[[Probe], dict[str, Any]] = lambda _: {},
    figure: Mapping[str, Any] = {},
    **settings: object,
) -> Search:
    """A whole search whose points `judge` decides; `seen` gives further fields of what was observed, `figure` those of
    the figure of its objective.
    """
    options = {"from_above": False, "confirm_rate": False, "needed": 1, "seconds": 10.0, "longest_s": 40.0, **settings}
    search = Search(SearchPlan(**options))  # type: ignore[arg-type]
    while (probe := search.next) is not None:
        search.take(point(probe, judge(probe), figure=figure, **seen(probe)))
        assert len(search.points) <= most_points, [(one.load, one.verdict) for one in search.points]
    return search


def holds(capacity: float) -> Judge:
    """An endpoint that holds a load exactly."""
    return lambda probe: Verdict.PASS if probe.load <= capacity else Verdict.FAIL


def loads(search: Search) -> list[float]:
    """The loads in the order in which they were asked for."""
    return [one.load for one in search.points]
