"""The streams of one point as an observation. Pure: the same for a real load and for a simulated one."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any, Final, NamedTuple

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.figure import figures
from streamgauge.capacity.objective import Objective
from streamgauge.capacity.point import Observation
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.steadiness import BATCHES, cold, overrun, unsteady
from streamgauge.capacity.stream import Fate, Stream

_MOST_REPLICAS: Final = 64  # an endpoint may invent a new name for each stream
_LEAST_FOR_LITTLE: Final = 100
_CYCLES: Final = 60
"""Little's law holds for a long time: in a window of fewer streams for each one in flight, those at its edges can
make 5 % of it.
"""


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
    **rest: Any,
) -> Observation:
    """The observation; `rest` are the fields of Observation that streams do not tell."""
    begin, end = sample.begin_s, sample.end_s
    length = max(end - begin, 1e-9)
    window = [
        (stream, wait)
        for stream, wait in zip(sample.streams, sample.waits, strict=True)
        if begin <= stream.start_s < end
    ]
    measured = [stream for stream, _ in window]
    fates = Counter(stream.fate for stream in measured)
    ended = [stream for stream in sample.streams if begin <= stream.end_s < end and stream.fate is not Fate.CUT]
    good = [stream for stream in ended if stream.fate is Fate.OK]
    waits = [wait for _, wait in window if wait is not None]
    in_flight = _in_flight(sample.streams, begin, end)
    found = figures(measured, objectives, pooled, confidence)
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
        in_flight=round(in_flight, 3),
        residence_s=_residence_s(ended),
        little=_little(ended, in_flight, length),
        figures=found,
        goodput=_goodput(measured, objectives, of_ok=False),
        goodput_of_ok=_goodput(measured, objectives, of_ok=True),
        unsteady=unsteady(waits),
        overrun=overrun(waits, _levels(sample.streams, begin, end)) if probe.axis is Axis.RATE else None,
        cold=_cold(probe, sample),
        replicas=dict(Counter(s.replica for s in measured if s.replica is not None).most_common(_MOST_REPLICAS)),
        **rest,
    )


def _in_flight(streams: Sequence[Stream], begin: float, end: float) -> float:
    """The mean number of streams in flight in the window."""
    spent = fsum(
        min(stream.end_s, end) - max(stream.start_s, begin)
        for stream in streams
        if stream.end_s > begin and stream.start_s < end
    )
    return spent / max(end - begin, 1e-9)


def _residence_s(ended: Sequence[Stream]) -> float | None:
    """The mean time of a stream in the system."""
    if not ended:
        return None
    return round(fsum(stream.end_s - stream.start_s for stream in ended) / len(ended), 6)


def _little(ended: Sequence[Stream], in_flight: float, length: float) -> float | None:
    """By which share rate x residence differs from the streams in flight; None where streams at the edges decide it."""
    residence = _residence_s(ended)
    if not in_flight or residence is None or len(ended) < max(_LEAST_FOR_LITTLE, _CYCLES * in_flight):
        return None
    return round(len(ended) / length * residence / in_flight - 1, 4)


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


def _levels(streams: Sequence[Stream], begin: float, end: float) -> list[float]:
    """The streams in flight in the middle of each batch of the window."""
    starts, ends = sorted(stream.start_s for stream in streams), sorted(stream.end_s for stream in streams)
    moments = [begin + (end - begin) * (batch + 0.5) / BATCHES for batch in range(BATCHES)]
    return [float(bisect_right(starts, at) - bisect_right(ends, at)) for at in moments]


def _cold(probe: Probe, sample: Sample) -> str | None:
    """Whether the first streams of the point, the warm-up included, were much slower than the rest."""
    if probe.axis is not Axis.USERS:
        return None
    waits = [wait for wait in sample.waits if wait is not None]
    return cold(waits[: int(probe.load)], waits[int(probe.load) :])
