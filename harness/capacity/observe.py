"""The streams of one point as an observation. Pure: the same for a real load and for a simulated one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import fsum
from statistics import median
from typing import Any, Final, NamedTuple

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.figure import figures
from streamgauge.capacity.objective import Objective
from streamgauge.capacity.point import Observation
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.stream import Fate, Stream
from streamgauge.metrics.concurrency import Stay
from streamgauge.metrics.steady_state import Flow, InFlight, Steadiness, steady_state
from streamgauge.units import SECOND

_MOST_REPLICAS: Final = 64  # an endpoint may invent a new name for each stream
_LEAST_FOR_LITTLE: Final = 100
_CYCLES: Final = 60
"""Little's law holds for a long time: in a window of fewer streams for each one in flight, those at its edges can
make 5 % of it.
"""
_GROWTH: Final = 1.5
"""Streams in flight at the end of the window, as a multiple of those at its begin, that are a growing backlog."""


class Sample(NamedTuple):
    """All streams of a point in the order of their starts, the window that counts (seconds on the clock of the
    streams), and the waits for the first token that steadiness is judged by (seconds, one for each stream, or None).
    """

    streams: Sequence[Stream]
    begin_s: float
    end_s: float
    waits: Sequence[float | None]


def observe(
    probe: Probe,
    sample: Sample,
    objectives: Sequence[Objective],
    confidence: float,
    *,
    pooled: Mapping[str, float] = {},
    doubts: Mapping[str, str] = {},
    **rest: Any,
) -> Observation:
    """The observation. `pooled` and `doubts` are those of `figures`; `rest` are the fields of Observation that streams
    do not show.
    """
    begin, end = sample.begin_s, sample.end_s
    length = max(end - begin, 1e-9)
    measured = [stream for stream in sample.streams if begin <= stream.start_s < end]
    fates = Counter(stream.fate for stream in measured)
    ended = [stream for stream in sample.streams if begin <= stream.end_s < end and stream.fate is not Fate.CUT]
    good = [stream for stream in ended if stream.fate is Fate.OK]
    stays = _stays(sample)
    flow = _flow(sample, stays)
    in_flight = flow.in_flight()
    steady = steady_state(stays, round(begin * SECOND), round(end * SECOND), flow.levels)
    found = figures(measured, objectives, pooled, confidence, doubts)
    return Observation(
        seconds=round(length, 3),
        requests=len(sample.streams),
        ok=fates[Fate.OK],
        refused=fates[Fate.REFUSED],
        broken=fates[Fate.BROKEN],
        cut=fates[Fate.CUT],
        streams_per_s=round(len(good) / length, 4) if good else None,
        tokens_per_s=round(sum(stream.tokens for stream in good) / length, 2) if good else None,
        output_tokens=sum(stream.tokens for stream in sample.streams),
        prompt_tokens=sum(stream.prompt_tokens for stream in sample.streams),
        in_flight=None if in_flight is None else in_flight.mean,
        residence_s=_residence_s(ended),
        little=_little(in_flight, len(ended)),
        figures=found,
        goodput=_goodput(measured, objectives, of_ok=False),
        goodput_of_ok=_goodput(measured, objectives, of_ok=True),
        unsteady="; ".join(steady.reasons) if steady.verdict is Steadiness.NOT_STEADY else None,
        overrun=_overrun(flow.levels) if probe.axis is Axis.RATE and steady.growing else None,
        cold=_cold(stays, end),
        replicas=dict(Counter(s.replica for s in measured if s.replica is not None).most_common(_MOST_REPLICAS)),
        **rest,
    )


def _stays(sample: Sample) -> list[Stay]:
    return [
        Stay(
            round(stream.start_s * SECOND), round(stream.end_s * SECOND), None if wait is None else round(wait * SECOND)
        )
        for stream, wait in zip(sample.streams, sample.waits, strict=True)
    ]


def _flow(sample: Sample, stays: Sequence[Stay]) -> Flow:
    flow = Flow(round(sample.begin_s * SECOND), round(sample.end_s * SECOND))
    for stay in stays:
        flow.add(stay)
    return flow


def _overrun(levels: Sequence[float]) -> str | None:
    """Why an open loop asks for more than the server does, when its waits grow: so do the streams in flight."""
    quarter = max(len(levels) // 4, 1)
    first, last = median(levels[:quarter]), median(levels[-quarter:])
    if last < _GROWTH * max(first, 1):
        return None
    return f"the backlog grows: {first:.1f} streams in flight at the begin of the window and {last:.1f} at its end"


def _cold(stays: Sequence[Stay], end: float) -> str | None:
    """The sentence about a first wave of the point, its warm-up included, that met a cold engine; None without one."""
    if not stays:
        return None
    whole = steady_state(stays, min(stay.start_ns for stay in stays), round(end * SECOND))
    return whole.reasons[0] if whole.verdict is Steadiness.COLD_ENGINE else None


def _residence_s(ended: Sequence[Stream]) -> float | None:
    """The mean time of a stream in the system."""
    if not ended:
        return None
    return round(fsum(stream.end_s - stream.start_s for stream in ended) / len(ended), 6)


def _little(in_flight: InFlight | None, ended: int) -> float | None:
    """By which share rate x residence differs from the streams in flight; None where streams at the edges decide it."""
    if in_flight is None or ended < max(_LEAST_FOR_LITTLE, _CYCLES * in_flight.mean):
        return None
    return in_flight.little_residual


def _goodput(measured: Sequence[Stream], objectives: Sequence[Objective], *, of_ok: bool) -> float | None:
    """The share of streams that are ok and within every limit: of all that ended, or of those that are ok only."""
    latencies = [index for index, objective in enumerate(objectives) if objective.is_latency]
    ended = [s for s in measured if s.fate is Fate.OK or (s.fate is not Fate.CUT and not of_ok)]
    if not ended:
        return None
    good = sum(
        s.fate is Fate.OK and not any((value := s.values[index]) is not None and value.possible for index in latencies)
        for s in ended
    )
    return round(good / len(ended), 6)
