"""What one measured point says: PASS, FAIL or UNDECIDED, which objective binds, and what kind of limit was reached.

A verdict is never stronger than its evidence. A point that was cut short by something other than its own objectives,
one whose client may have been the limit, and one without a steady state are undecided, and never end an interval.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from streamgauge.capacity.client import Trouble
from streamgauge.capacity.figure import Figure
from streamgauge.capacity.probe import Probe
from streamgauge.metrics.intervals import Decision
from streamgauge.units import two_digits_up

LITTLE: Final = 0.05
"""Little's law: streams in flight = rate x time in the system. More than 5 % beside it, the figures contradict
themselves: streams are missing from them, or the load was not the planned one.
"""
FULL: Final = 0.98
"""This share of the asked streams in flight counts as the whole load: between two streams of a user is a moment."""


class Verdict(StrEnum):
    """What a point says about its load."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


class Kind(StrEnum):
    """How an endpoint shows that the load is too large."""

    REFUSAL = "refusal"
    LATENCY = "latency"
    BREAKAGE = "breakage"
    BACKLOG = "backlog"


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one point; counts are those of the measured window. What does not exist is None.

    `unusable` says why the point says nothing at all, `unsteady` why its window has no steady state. `stopped` says at
    which of its own limits it was ended early: that is evidence, not a fault. `overrun` says why an open loop asks for
    more than the server does. `client` and `client_reasons` are the verdict on this client as far as it concerns every
    figure; a doubt about some figures is in `Figure.doubt`. `late_users` says why the load may have been smaller than
    asked. `core_used` and `core_awaited` are the shares of a core of its busiest process, and of the one that waited
    most. `residence_s` is the mean time of a stream in the system, and `little` by which share rate x residence differs
    from the streams in flight (Little's law). `session_s` is the mean time of a conversation,
    its pauses included. `took_s` is the time of the whole point.
    """

    seconds: float
    requests: int
    ok: int = 0
    refused: int = 0
    broken: int = 0
    cut: int = 0
    streams_per_s: float | None = None
    tokens_per_s: float | None = None
    output_tokens: int = 0
    prompt_tokens: int = 0
    in_flight: float | None = None
    residence_s: float | None = None
    little: float | None = None
    figures: Sequence[Figure] = ()
    goodput: float | None = None
    goodput_of_ok: float | None = None
    client: str = "VALID"
    client_reasons: Sequence[str] = ()
    late_users: str | None = None
    troubles: Sequence[Trouble] = ()
    core_used: float | None = None
    core_awaited: float | None = None
    loop_late_ms: float | None = None
    stopped: str | None = None
    unusable: str | None = None
    unsteady: str | None = None
    overrun: str | None = None
    cold: str | None = None
    cached_share: float | None = None
    replicas: dict[str, int] = {}
    session_s: float | None = None
    took_s: float | None = None
    directory: str | None = None


class Margin(msgspec.Struct, frozen=True):
    """An objective and its distance to the limit, as a share of the limit; negative when it is exceeded."""

    slo: str
    share: float

    @property
    def words(self) -> str:
        return f"exceeded by {-self.share:.0%}" if self.share < 0 else f"margin {self.share:.0%}"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A probe, what was observed, and the verdict. `reason` says why it is undecided, or which objectives it misses."""

    probe: Probe
    observation: Observation
    verdict: Verdict
    reason: str
    client_limited: bool = False

    @property
    def load(self) -> float:
        return self.probe.load

    @property
    def margins(self) -> list[Margin]:
        """The objectives, the one nearest to its limit (or farthest beyond it) first."""
        found = [Margin(figure.slo, figure.margin) for figure in self.observation.figures if figure.margin is not None]
        return sorted(found, key=lambda margin: margin.share)

    def likely_s(self, unknown_s: float) -> float:
        """How long a point at this load must be so that its figures decide it in 2 of 3 cases; `unknown_s` where no
        length does, or where they do not say it.
        """
        failing, others = self._lengths(lambda figure: figure.likely)
        if failing:
            return min((length for length in failing if length is not None), default=unknown_s)
        known = [length for length in others if length is not None]
        return max(known) if known and len(known) == len(others) else unknown_s

    @property
    def least_s(self) -> float:
        """A shorter point at this load is not worth a try; 0 where the figures do not say it."""
        failing, others = self._lengths(lambda figure: figure.least)
        known = [length for length in failing or others if length is not None]
        return (min if failing else max)(known, default=0.0)

    def _lengths(self, count: Callable[[Figure], int | None]) -> tuple[list[float | None], list[float | None]]:
        """The lengths for so many measurements: of the figures that rather fail, each of which is enough, and of the
        others, all of which are needed.
        """
        found: tuple[list[float | None], list[float | None]] = [], []
        for figure in self.observation.figures:
            wanted = count(figure)
            if figure.total:
                found[not figure.fails].append(None if wanted is None else self.probe.seconds * wanted / figure.total)
        return found

    @property
    def is_open(self) -> bool:
        """Whether it is undecided only because its figures allow both answers: more streams would decide it."""
        seen = self.observation
        disturbed = seen.unusable or seen.unsteady or seen.stopped
        return self.verdict is Verdict.UNDECIDED and not self.client_limited and disturbed is None

    @property
    def missed(self) -> list[str]:
        """The objectives that are certainly missed."""
        return _missed(self.observation)

    @property
    def kind(self) -> Kind | None:
        """How the endpoint showed its limit; None unless the point failed."""
        if self.verdict is not Verdict.FAIL:
            return None
        seen = self.observation
        failed = seen.refused + seen.broken
        worst = next((margin.slo for margin in self.margins if margin.slo in self.missed), "")
        if not self.missed:
            return Kind.BACKLOG
        if failed and (worst.startswith(("error_rate", "goodput"))):
            return Kind.REFUSAL if seen.refused >= seen.broken else Kind.BREAKAGE
        return Kind.LATENCY


def judge(probe: Probe, seen: Observation) -> Point:
    """The verdict on a point."""

    def point(verdict: Verdict, reason: str, *, client_limited: bool = False) -> Point:
        return Point(probe=probe, observation=seen, verdict=verdict, reason=reason, client_limited=client_limited)

    if seen.unusable is not None:
        return point(Verdict.UNDECIDED, seen.unusable)
    if seen.client in ("SUSPECT", "INVALID"):
        why = "; ".join(seen.client_reasons) or "no reason is known"
        return point(Verdict.UNDECIDED, f"this client is {seen.client}: {why}", client_limited=True)
    little = seen.little
    if little is not None and abs(little) > LITTLE:
        return point(
            Verdict.UNDECIDED,
            f"the figures contradict Little's law: rate x time in the system is {little:.0%} beside the "
            f"{seen.in_flight:.1f} streams in flight",
        )
    if missed := _missed(seen):
        return point(Verdict.FAIL, f"misses {', '.join(missed)}")
    if seen.overrun is not None:
        return point(Verdict.FAIL, seen.overrun)
    if doubted := [figure for figure in seen.figures if figure.doubt is not None]:
        whys = "; ".join(f"this client is doubtful for {figure.slo}: {figure.doubt}" for figure in doubted)
        return point(Verdict.UNDECIDED, whys, client_limited=True)
    if seen.late_users is not None and not _was_full(probe, seen):
        return point(Verdict.UNDECIDED, f"this client is doubtful: {seen.late_users}", client_limited=True)
    if seen.unsteady is not None:
        return point(Verdict.UNDECIDED, f"no steady state: {seen.unsteady}")
    if seen.stopped is not None:
        return point(Verdict.UNDECIDED, f"ended early ({seen.stopped}), before the figures could decide")
    if open_ones := [figure for figure in seen.figures if figure.decision is Decision.UNDECIDED]:
        return point(Verdict.UNDECIDED, _open(open_ones))
    return point(Verdict.PASS, "meets every objective")


def _missed(seen: Observation) -> list[str]:
    """The objectives that are certainly missed. A figure that this client may have distorted is not certain."""
    return [figure.slo for figure in seen.figures if figure.decision is Decision.FAIL and figure.doubt is None]


def _was_full(probe: Probe, seen: Observation) -> bool:
    """Whether the asked number of streams was in flight although users began late. A smaller load fails for certain,
    but it passes for nothing.
    """
    return seen.in_flight is not None and seen.in_flight >= FULL * probe.load


def _open(figures: Sequence[Figure]) -> str:
    """Why these objectives are open, in as few words as possible."""
    most = max(figure.total for figure in figures)
    alike = all(figure.worth is None or figure.worth >= figure.total for figure in figures)
    if most and alike and not any(figure.possible for figure in figures) and most < min(f.needed for f in figures):
        return f"none of {most:,} streams misses an objective; {max(f.needed for f in figures):,} would decide"
    return "; ".join(map(_too_little, figures))


def _too_little(figure: Figure) -> str:
    if not figure.total:
        return f"{figure.slo}: no data"
    count = figure.total if figure.worth is None else min(figure.total, int(figure.worth))
    if not figure.possible and count < figure.needed:
        worth = "" if count == figure.total else f", but they depend on each other and are worth {count:,}"
        enough = _about(figure.least or figure.needed)
        return f"{figure.slo}: none of {figure.total:,} misses it{worth}; {enough} would decide"
    enough = "no number of streams would decide" if figure.likely is None else f"{_about(figure.likely)} would decide"
    return f"{figure.slo}: {figure.possible:,} of {figure.total:,} miss it, which allows both answers; {enough}"


def _about(count: float) -> str:
    return f"about {two_digits_up(count):,}"
