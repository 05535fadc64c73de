"""The loads that a search has measured, in order, and what the trials at each of them say together."""

from bisect import insort
from collections import defaultdict
from typing import Final, NamedTuple

from streamgauge.capacity.point import Point, Verdict

AGREEING: Final = 3
"""Where the trials of one load contradict each other, so many must agree for each one that does not."""
MOST_TRIALS: Final = 4
"""Decided trials of one load, when they contradict each other. After that, the load itself is undecided."""
_ENOUGH: Final = 2


class Bracket(NamedTuple):
    """The highest load that passed below the lowest that failed; None where there is none."""

    low: float | None
    high: float | None


class Ladder:
    """Points by load. Only points that may be bounds are added. `longest_s` is the longest time of a point."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self.loads: list[float] = []
        self.points: defaultdict[float, list[Point]] = defaultdict(list)

    def add(self, point: Point) -> None:
        if point.load not in self.points:
            insort(self.loads, point.load)
        self.points[point.load].append(point)

    def count(self, load: float, verdict: Verdict) -> int:
        """How many trials of a load have this verdict."""
        return sum(point.verdict is verdict for point in self.points[load])

    def decided(self, load: float) -> int:
        """How many trials of a load are decided."""
        return self.count(load, Verdict.PASS) + self.count(load, Verdict.FAIL)

    def verdict(self, load: float) -> Verdict:
        """What the trials of a load say together.

        Undecided ones count for nothing, except where the longest time did not decide: then one trial is not enough.
        """
        passed, failed = self.count(load, Verdict.PASS), self.count(load, Verdict.FAIL)
        if self.exhausted(load) and passed + failed < _ENOUGH:
            return Verdict.UNDECIDED
        if passed > 0 and passed >= AGREEING * failed:
            return Verdict.PASS
        if failed > 0 and failed >= AGREEING * passed:
            return Verdict.FAIL
        return Verdict.UNDECIDED

    def open_trials(self, load: float) -> list[Point]:
        """The trials whose figures allowed both answers, although nothing disturbed them."""
        return [
            point
            for point in self.points[load]
            if point.verdict is Verdict.UNDECIDED and not point.client_limited and point.observation.unusable is None
        ]

    def exhausted(self, load: float) -> bool:
        """Whether a trial of the longest time decided nothing, or would not."""
        return any(
            point.probe.seconds >= self._longest_s or point.least_s > self._longest_s
            for point in self.open_trials(load)
        )

    def least_s(self, load: float) -> float | None:
        """The shortest time that is worth a try, when it is longer than the longest time; None otherwise."""
        tried = [point.least_s for point in self.open_trials(load) if point.least_s > self._longest_s]
        return min(tried, default=None)

    def disputed(self, load: float) -> bool:
        """Whether the trials of a load contradict each other, and another one may settle it. After a trial of the
        longest time that decided nothing, none may: the load is so near the limit that each verdict on it was chance.
        """
        passed, failed = self.count(load, Verdict.PASS), self.count(load, Verdict.FAIL)
        is_open = self.verdict(load) is Verdict.UNDECIDED and not self.exhausted(load)
        return min(passed, failed) > 0 and passed + failed < MOST_TRIALS and is_open

    def is_wall(self, load: float) -> bool:
        """Whether the client was the limit when this load was tried last, and no trial is decided."""
        return not self.decided(load) and self.points[load][-1].client_limited

    @property
    def bracket(self) -> Bracket:
        failed = [load for load in self.loads if self.verdict(load) is Verdict.FAIL]
        high = failed[0] if failed else None
        passed = [load for load in self.loads if self.verdict(load) is Verdict.PASS and (high is None or load < high)]
        return Bracket(passed[-1] if passed else None, high)

    @property
    def passed_above(self) -> list[float]:
        """Loads that passed above the lowest that failed: the endpoint is not monotone, or a trial was disturbed."""
        high = self.bracket.high
        return [load for load in self.loads if high is not None and load > high and self.verdict(load) is Verdict.PASS]

    def undecided_between(self, low: float | None, high: float | None) -> list[float]:
        """Loads between two ends that have no verdict. An end that is None is open."""
        return [
            load
            for load in self.loads
            if (low is None or load > low) and (high is None or load < high) and self.verdict(load) is Verdict.UNDECIDED
        ]

    @property
    def wall(self) -> float | None:
        """The lowest load above all that passed at which the client was the limit; None without one."""
        low = self.bracket.low
        return next((load for load in self.loads if (low is None or load > low) and self.is_wall(load)), None)

    def nearest(self, load: float) -> Point | None:
        """The last point at the load nearest to this one; None without any."""
        if not self.loads:
            return None
        return self.points[min(self.loads, key=lambda other: abs(other - load))][-1]
