"""Whether a load had a steady state, and whether its counts agree with each other: from when its streams ran.

A percentile describes an endpoint only if load and endpoint stayed the same while it was measured. Four things make it
a figure of a moment instead: a first wave that met a cold engine, a TTFT that rises or falls all the time (a queue that
grows), a TTFT that jumps to another level, and a number of streams in flight that rises or falls all the time.

The tests compare batches of successive streams. Streams that wait in one queue are alike, so single streams would give
many false alarms. In simulations of stationary loads (independent TTFTs, users in a closed loop, and arrivals at a
queue that is 70 % busy) each test raises a false alarm in less than 1 of 100 runs.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Final

import msgspec

from streamgauge.metrics.concurrency import Stay, most_open
from streamgauge.units import SECOND, plural, show_ms

LEAST_STREAMS: Final = 100
"""Fewer streams give batches that are too small to tell a trend from chance."""
LITTLE_LIMIT: Final = 0.05
"""The largest relative difference between streams in flight and throughput times stay."""
_BATCHES: Final = 20
_STEADILY: Final = 0.75  # Kendall's tau: 7 of 8 pairs of batches are in the same order
_LEAST_CHANGE: Final = 0.25  # a smaller change is not worth a warning
_SHIFT_T: Final = 7.0  # Student's t of the best split, after correction for neighbours that are alike
_LEAST_SIDE: Final = 4  # batches on each side of a shift
_COLD: Final = 1.5  # times the median of the rest
_COLD_Z: Final = 2.6  # standard deviations of the rank sum: 1 in 200 by chance
_LEAST_WAVE: Final = 3


class Steadiness(StrEnum):
    """Whether a run had a steady state. NOT_JUDGED: too few streams, or the plan changes the load."""

    STEADY = "steady"
    COLD_ENGINE = "cold engine"
    NOT_STEADY = "no steady state"
    NOT_JUDGED = "not judged"


UNSTEADY: Final = frozenset({Steadiness.COLD_ENGINE, Steadiness.NOT_STEADY})


class SteadyState(msgspec.Struct, frozen=True, kw_only=True):
    """`steady_state` of the summary in run.json. `reasons` says in sentences what was found.

    `begin_s` is where the steady part begins and `shift_s` where the TTFT went to another level, in seconds since the
    measured window began. `growing`: the TTFT went up, so a longer run would have larger figures.
    """

    verdict: Steadiness
    reasons: list[str] = []
    begin_s: float | None = None
    shift_s: float | None = None
    growing: bool = False

    @property
    def sentence(self) -> str:
        """The reasons as a sentence."""
        text = "; ".join(self.reasons)
        return f"{text[:1].upper()}{text[1:]}."

    def __str__(self) -> str:
        return f"{self.verdict.value}{': ' if self.reasons else ''}{'; '.join(self.reasons)}"


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """`in_flight` of the summary in run.json: the streams that were open at the same time in the measured window.

    Little's law (1961): the mean number in flight is the throughput times the mean stay of a stream (`stay_s`), where
    as many streams come as go. `per_s` is the mean of those that came and of those that went in the window, per second.
    `little_residual` is the difference, relative to `mean`.
    """

    mean: float
    most: int
    per_s: float
    stay_s: float | None = None
    little_residual: float | None = None

    @property
    def caveat(self) -> str | None:
        """The warning that the counts do not agree; None when they do."""
        if self.stay_s is None or self.little_residual is None or self.little_residual <= LITTLE_LIMIT:
            return None
        return (
            f"Little's law does not hold within {LITTLE_LIMIT:.0%}: {self.mean:.1f} streams were in flight on average, "
            f"but {self.per_s:.2f} came and went per second and stayed {self.stay_s:.2f} s each, which makes "
            f"{self.per_s * self.stay_s:.1f}. More streams came than went, or the run is too short for such long "
            "streams: give a longer --duration."
        )


class Flow:
    """Streams in flight between two moments (epoch ns). `add` takes in every stream, also those of the warm-up."""

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self._begin_ns, self._end_ns = begin_ns, end_ns
        self._length_ns = max(end_ns - begin_ns, 1)
        self._open_ns = [0.0] * _BATCHES  # the time that streams were open, by part of the window
        self._inside: list[tuple[int, int]] = []
        self._came = self._ended = self._stayed_ns = 0

    def add(self, stay: Stay) -> None:
        """Take in one stream."""
        begin, end = max(stay.start_ns, self._begin_ns), min(stay.closed_ns, self._end_ns)
        if end <= begin:
            return
        self._inside.append((begin, end))
        self._came += stay.start_ns >= self._begin_ns
        if stay.closed_ns <= self._end_ns:
            self._ended += 1
            self._stayed_ns += stay.closed_ns - stay.start_ns
        width = self._length_ns / _BATCHES
        first, last = (int((at - self._begin_ns) / width) for at in (begin, end - 1))
        for part in range(first, min(last, _BATCHES - 1) + 1):
            low = self._begin_ns + part * width
            self._open_ns[part] += min(end, low + width) - max(begin, low)

    @property
    def levels(self) -> list[float]:
        """The mean number in flight in each of 20 equal parts of the window."""
        return [open_ns / (self._length_ns / _BATCHES) for open_ns in self._open_ns]

    def in_flight(self) -> InFlight | None:
        """The figures; None without a stream."""
        if not self._inside:
            return None
        mean = sum(self._open_ns) / self._length_ns
        per_s = (self._came + self._ended) / 2 / (self._length_ns / SECOND)
        stay_s = self._stayed_ns / self._ended / SECOND if self._ended else None
        return InFlight(
            mean=round(mean, 3),
            most=most_open(self._inside),
            per_s=round(per_s, 3),
            stay_s=None if stay_s is None else round(stay_s, 6),
            little_residual=None if stay_s is None else round(abs(mean - per_s * stay_s) / mean, 4),
        )


def steady_state(stays: Iterable[Stay], begin_ns: int, end_ns: int, flight: Sequence[float] = ()) -> SteadyState:
    """The verdict on the streams that began between two moments. `stays` holds the others, too.

    `flight` are the levels of `Flow`.
    """
    ordered = sorted(stays, key=lambda stay: stay.start_ns)
    served = [stay for stay in ordered if begin_ns <= stay.start_ns < end_ns and stay.ttft_ns is not None]
    if len(served) < LEAST_STREAMS:
        reason = f"{plural(len(served), 'stream')} with a token, and {LEAST_STREAMS} are needed to tell"
        return SteadyState(verdict=Steadiness.NOT_JUDGED, reasons=[reason])
    reasons, steady_ns, verdict = [], begin_ns, Steadiness.STEADY
    wave, rest = _first_wave(ordered, served)
    if cold := _cold(wave, rest):
        served, steady_ns, verdict = rest, rest[0].start_ns, Steadiness.COLD_ENGINE
        reasons.append(cold)
    batches = _batches(served)
    levels = [max(median(stay.ttft_ns or 0 for stay in batch), 1) for batch in batches]
    trend, shift, flow = _trend(levels), _shift(levels), _trend(flight)
    shift_s = None
    if trend:
        reasons.append(f"the TTFT {_changed(trend, *map(show_ms, _ends(levels)))}")
    elif shift:
        at_ns = batches[shift][0].start_ns - begin_ns
        shift_s = round(at_ns / SECOND, 3)
        before, after = median(levels[:shift]), median(levels[shift:])
        reasons.append(
            f"the TTFT went from {show_ms(before)} to {show_ms(after)} after {shift_s:.1f} s and stayed there"
        )
    if flow:
        first, last = _ends(flight)
        reasons.append(f"the number of streams in flight {_changed(flow, f'{first:.1f}', f'{last:.1f}')}")
    growing = trend > 0 or (not trend and shift > 0 and median(levels[shift:]) > median(levels[:shift]))
    if trend > 0 and flow > 0:
        reasons.append("more streams come than the endpoint serves, so a longer run would have larger figures")
    if trend or shift or flow:
        return SteadyState(verdict=Steadiness.NOT_STEADY, reasons=reasons, shift_s=shift_s, growing=growing)
    return SteadyState(verdict=verdict, reasons=reasons, begin_s=round((steady_ns - begin_ns) / SECOND, 3))


def _changed(direction: int, first: str, last: str) -> str:
    return f"{'rose' if direction > 0 else 'fell'} all the time, from {first} to {last}"


def _first_wave(ordered: Sequence[Stay], served: Sequence[Stay]) -> tuple[list[Stay], list[Stay]]:
    """The measured streams that began before any stream had ended, and the rest. With a warm-up there are none."""
    first_end = min(stay.closed_ns for stay in ordered)
    wave = [stay for stay in served if stay.start_ns < first_end]
    return wave, list(served[len(wave) :])


def _cold(wave: Sequence[Stay], rest: Sequence[Stay]) -> str | None:
    """The sentence about a first wave that is clearly slower than the rest; None when it is not."""
    slow, usual = ([stay.ttft_ns or 0 for stay in part] for part in (wave, rest))
    if len(slow) < _LEAST_WAVE or len(usual) < LEAST_STREAMS // 2:
        return None
    if median(slow) < _COLD * median(usual) or _rank_sum(slow, usual) < _COLD_Z:
        return None
    return (
        f"the first wave of {plural(len(slow), 'stream')} had a TTFT of {show_ms(median(slow))} (p50), the rest "
        f"{show_ms(median(usual))}: a cold engine, or all users at once; --warmup leaves the first wave out"
    )


def _rank_sum(these: Sequence[float], others: Sequence[float]) -> float:
    """How many standard deviations `these` are above chance (Mann and Whitney, 1947)."""
    usual = sorted(others)
    above = sum((bisect_left(usual, value) + bisect_right(usual, value)) / 2 for value in these)
    pairs = len(these) * len(others)
    return (above - pairs / 2) / math.sqrt(pairs * (len(these) + len(others) + 1) / 12)


def _batches(ordered: Sequence[Stay]) -> list[Sequence[Stay]]:
    """The streams in 20 batches of equal size, in the order in which they began."""
    edges = [index * len(ordered) // _BATCHES for index in range(_BATCHES + 1)]
    return [ordered[low:high] for low, high in pairwise(edges)]


def _ends(levels: Sequence[float]) -> tuple[float, float]:
    """The level at the beginning and at the end: medians of a quarter."""
    quarter = max(len(levels) // 4, 1)
    return median(levels[:quarter]), median(levels[-quarter:])


def _trend(levels: Sequence[float]) -> int:
    """1 when the levels rise all the time, -1 when they fall, else 0 (Kendall's rank correlation with time)."""
    if len(levels) < _BATCHES:
        return 0
    pairs = list(combinations(levels, 2))
    tau = sum((after > before) - (after < before) for before, after in pairs) / len(pairs)
    first, last = _ends(levels)
    if abs(tau) < _STEADILY or abs(last - first) < _LEAST_CHANGE * max(min(first, last), 1e-9):
        return 0
    return 1 if tau > 0 else -1


def _shift(levels: Sequence[float]) -> int:
    """The batch at which the levels go to another level and stay there; 0 when they do not.

    For each split, Student's t of the logarithms. Neighbouring batches that are alike (a queue that lasts longer than a
    batch) count as fewer: t is multiplied with the root of (1 - r) / (1 + r), r being the correlation of neighbours.
    """
    logs = [math.log(level) for level in levels]
    best, at = _SHIFT_T, 0
    for split in range(_LEAST_SIDE, len(logs) - _LEAST_SIDE + 1):
        before, after = logs[:split], logs[split:]
        step = fmean(after) - fmean(before)
        if abs(step) < math.log(1 + _LEAST_CHANGE):
            continue
        rest = [value - fmean(before) for value in before] + [value - fmean(after) for value in after]
        squares = max(math.fsum(value * value for value in rest), 1e-12)
        alike = max(math.fsum(a * b for a, b in pairwise(rest)) / squares, 0) + 1 / len(logs)
        error = math.sqrt(squares / (len(logs) - 2) * (1 / len(before) + 1 / len(after)))
        t = abs(step) / error * math.sqrt(max(1 - alike, 0) / (1 + alike))
        if t > best:
            best, at = t, split
    return at
