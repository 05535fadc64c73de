"""What was understood of a trace, in a sentence for the user: a wrong reading must be seen before the load runs."""

from collections.abc import Sequence

from streamgauge.loadgen.schedule import Arrival
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.reading import Trace
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.time_unit import show_rate, show_span
from streamgauge.units import SECOND, plural


def understood(trace: Trace, arrivals: Sequence[Arrival], controls: TraceControls, played: str | None = None) -> str:
    """`3,201 arrivals over 59 min, mean 0.9/s, peak 12/s, timestamps read as seconds (Bailian)`, and the changes.

    `played` says in a phrase how sessions start, if their recorded times do not decide.
    """
    parts = [*_counts(trace, arrivals, played), f"{trace.unit} ({trace.format.name})"]
    requests = trace.requests if played is not None else [*_requests(arrivals)]
    if sessions := {request.session for request in requests if request.session is not None}:
        turns = sum(request.session is not None for request in requests)
        parts.append(f"{plural(len(sessions), 'session')} of {turns / len(sessions):.3g} turns on average")
    if left := sum(request.leave is not None for request in requests):
        parts.append(f"{plural(left, 'request')} left early by their users")
    if any(request.blocks and request.text is None and request.messages is None for request in requests):
        parts.append("prompts made of the recorded blocks")
    if controls.scale != 1:
        parts.append(f"times multiplied by {controls.scale:g}")
    if controls.max_gap_ns is not None:
        parts.append(f"no gap longer than {controls.max_gap_ns / SECOND:g} s")
    return ", ".join([*parts, *trace.remarks])


def _counts(trace: Trace, arrivals: Sequence[Arrival], played: str | None) -> list[str]:
    if played is not None:
        return [f"{plural(len(trace.requests), 'request')}, {played}"]
    span_s = (arrivals[-1].at_ns - arrivals[0].at_ns) / SECOND
    later = sum(len(arrival.followers) for arrival in arrivals)
    counted = plural(len(arrivals), "arrival") + (f" and {plural(later, 'later turn')}" if later else "")
    if len(arrivals) == 1:
        return [counted]
    if span_s <= 0:
        return [f"{counted}, all at once"]
    return [
        f"{counted} over {show_span(span_s)}",
        f"mean {show_rate((len(arrivals) - 1) / span_s)}",
        f"peak {peak(arrivals)}/s",
    ]


def peak(arrivals: Sequence[Arrival]) -> int:
    """The most arrivals within one second, wherever the second begins."""
    most = first = 0
    for last, arrival in enumerate(arrivals):
        while arrival.at_ns - arrivals[first].at_ns >= SECOND:
            first += 1
        most = max(most, last - first + 1)
    return most


def _requests(arrivals: Sequence[Arrival]) -> list[Request]:
    return [
        request
        for arrival in arrivals
        for request in (arrival.recorded, *(follower.request for follower in arrival.followers))
        if request is not None
    ]
