"""The search for the largest load that meets all objectives, without IO: it asks for probes and is given points.

    double       1, 2, 4, ... until a load fails, or the client is the limit
    bisect       between the highest load that passed and the lowest that failed, down to the precision
                 an undecided load in between is measured again, so long that it is probably decided
    repeat       both ends again, in random order, with the same seeds at both: the same prompts and lengths
    overload     twice the load that failed, then at once the load that passed: does it pass from above as well?
    rate         the same number of streams per second in an open loop
    sustain      the answer, and 80 % of it, for a long time

A point that is undecided, was disturbed, or was made by a doubtful client is never an end of the interval. It is
measured again: an undecided one for longer, a doubtful one as it was. Loads that stay undecided lie inside, and so do
those that are given up, because the time that is left does not decide them.

A search that is stopped in one of the last three steps has its interval all the same.

`Search` has no clock and draws from a seeded generator, so the same points always lead to the same questions. A search
that was interrupted goes on when it is given the points of its history again.
"""

from collections import deque
from collections.abc import Sequence
from math import ceil
from random import Random
from typing import Final

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.ladder import Ladder
from streamgauge.capacity.point import Point, Verdict
from streamgauge.capacity.probe import Probe, Purpose

_FIRST_WARMUP_S: Final = 1.0
_WARMUP_RESIDENCES: Final = 1.5
_MOST_RETESTS: Final = 2
"""So many trials of one load must be spoilt by a slow client before the client counts as the limit. One trial can be
spoilt by a short disturbance of the machine.
"""
_MOST_DISTURBED: Final = 3
_MOST_RECOVERIES: Final = 5
_LOWER_RATES: Final = (0.9, 0.8, 0.65, 0.5)
_OVERLOAD: Final = 2
_SUSTAINED: Final = (1.0, 0.8)
_LEAST_GROWTH: Final = 2
"""An undecided load is measured at least so many times as long: a little more would rarely decide it."""


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for, and how precisely. `needed` streams can decide every objective when none of them misses it.

    A point lasts `seconds`, and up to `longest_s` where that decides nothing. `agreeing` trials must agree at each end.
    With `only`, this load alone is measured.
    """

    axis: Axis = Axis.USERS
    start: float = 1
    most: float = 10_000
    precision: float = 0.05
    seconds: float = 15
    longest_s: float = 120
    warmup_cap_s: float = 30
    needed: int = 59
    agreeing: int = 2
    from_above: bool = True
    confirm_rate: bool = True
    sustain_s: float = 0
    only: float | None = None
    seed: int = 1


class Search:
    """`next` is the next probe to measure, or None when the search is done; `take` is given the point."""

    def __init__(self, plan: SearchPlan) -> None:
        self.plan = plan
        self.ladder = Ladder(plan.longest_s)
        self.points: list[Point] = []
        self.stopped: str | None = None
        self.settled = True  # whether the interval was final when the search was stopped
        self.not_narrowed: str | None = None  # why no new load between the ends is measured
        self.given_up: dict[float, str] = {}  # undecided loads that are not measured again, and why
        self._queue: deque[Probe] = deque()
        self._random = Random(f"{plan.seed}/order")

    @property
    def next(self) -> Probe | None:
        """The probe to measure next; None when there is nothing left to find out."""
        if self.stopped is not None:
            return None
        if not self._queue:
            self._queue.extend(self._probes())
        return self._queue[0] if self._queue else None

    def take(self, point: Point) -> None:
        """The point of the probe that `next` gave."""
        assert [point.probe] == list(self._queue)[:1], "a point belongs to the probe that was asked for"
        self._queue.popleft()
        self.points.append(point)
        if point.probe.purpose.is_bound:
            self.ladder.add(point)
            if self.ladder.disputed(point.load) or point.verdict is Verdict.UNDECIDED:
                self._queue.clear()  # the rest was asked for when this load seemed decided

    def stop(self, reason: str) -> None:
        """Ask for nothing more, because a budget is used up or the user wants it."""
        if self.stopped is None:
            self.stopped = reason
            steps = (self._again, self._double, self._bisect, self._repeat)
            self.settled = self.plan.only is None and not any(step() for step in steps)

    def give_up(self, load: float, reason: str) -> None:
        """Leave an undecided load as it is, and go on with the rest."""
        self.given_up[load] = reason
        self._queue.clear()

    def stop_narrowing(self, reason: str) -> None:
        """Measure no new load between the ends, and go on with the rest."""
        self.not_narrowed = reason
        self._queue.clear()

    def ends(self) -> list[Probe]:
        """What it takes to repeat both ends as they are now."""
        return self._repeat(shuffled=False)

    def of(self, purpose: Purpose) -> list[Point]:
        """The points that were measured for a purpose."""
        return [point for point in self.points if point.probe.purpose is purpose]

    def _probes(self) -> list[Probe]:
        """The next probes: those of the first step that needs any."""
        if self.plan.only is not None:
            return self._again() or self._only(self.plan.only)
        steps = (
            self._again, self._double, self._bisect, self._repeat, self._from_above, self._rate, self._sustain,
        )  # fmt: skip
        for step in steps:
            if probes := step():
                return probes
        return []

    # ---- steps

    def _again(self) -> list[Probe]:
        """The last load once more, where its trials contradict each other or the client or machine disturbed it."""
        bounds = [point for point in self.points if point.probe.purpose.is_bound]
        if not bounds:
            return []
        last, ladder = bounds[-1], self.ladder
        load = last.load
        if ladder.disputed(load):
            return [self._probe(load, Purpose.RETEST, seconds=self._as_long(load))]
        if last.client_limited and ladder.wall in (None, load):
            doubtful = sum(point.client_limited for point in ladder.points[load])
            again = self._probe(load, Purpose.RETEST, seconds=last.probe.seconds)
            return [again] if doubtful < _MOST_RETESTS else []
        if last.observation.unusable is not None:
            disturbed = sum(point.observation.unusable is not None for point in ladder.points[load])
            if disturbed >= _MOST_DISTURBED:
                self.stopped = f"{last.probe.shown} could not be measured {disturbed} times: {last.reason}"
                self.settled = False
                return []
            return [self._probe(load, Purpose.RETEST, seconds=last.probe.seconds)]
        return []

    def _double(self) -> list[Probe]:
        """While nothing has failed: the double of the highest load. While nothing has passed: less than the lowest."""
        plan, ladder = self.plan, self.ladder
        if not ladder.loads:
            return [self._probe(plan.start, Purpose.DOUBLE, seconds=plan.seconds)]
        if ladder.bracket.high is not None or ladder.wall is not None:
            return []
        highest = ladder.loads[-1]
        if highest < plan.most:
            return [self._probe(min(plan.axis.scaled(highest, 2), plan.most), Purpose.DOUBLE, seconds=plan.seconds)]
        longer = self._longer(highest)
        return [longer] if longer else []

    def _only(self, load: float) -> list[Probe]:
        """One given load, measured until enough trials agree."""
        if load not in self.ladder.points:
            return [self._probe(load, Purpose.GIVEN, seconds=self.plan.seconds)]
        if longer := self._longer(load):
            return [longer]
        if not 0 < self.ladder.decided(load) < self.plan.agreeing or self.ladder.exhausted(load):
            return []
        return [self._probe(load, Purpose.REPEAT, seconds=self._as_long(load))]

    def _bisect(self) -> list[Probe]:
        """A load between the ends, or an undecided load between them once more, for a time that probably decides it."""
        ladder, axis = self.ladder, self.plan.axis
        low, high = ladder.bracket
        high = high if high is not None else ladder.wall
        if high is None:
            return []
        bottom, inside = low or 0.0, ladder.undecided_between(low, high)
        middle = self._middle(bottom, high)
        for load in sorted(inside, key=lambda load: abs(load - middle)):
            if longer := self._longer(load):
                return [longer]
        gaps = [(bottom, inside[0]), (inside[-1], high)] if inside else [(bottom, high)]
        for begin, end in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
            if end - begin <= axis.tolerance(begin, self.plan.precision):
                continue
            load = self._middle(begin, end)
            if load not in ladder.points and load >= axis.least and self.not_narrowed is None:
                return [self._probe(load, Purpose.BISECT)]
        return []

    def _middle(self, begin: float, end: float) -> float:
        axis = self.plan.axis
        return axis.middle(begin, end) if begin or axis.is_whole else axis.scaled(end, 0.5)

    def _repeat(self, *, shuffled: bool = True) -> list[Probe]:
        """Both ends, and loads that passed above, until enough trials of each agree. The order is random: a machine
        that slows down must not always hit the same end.
        """
        ladder = self.ladder
        ends = [load for load in (*ladder.bracket, *ladder.passed_above) if load is not None]
        probes = [
            self._probe(load, Purpose.REPEAT, seconds=self._as_long(load), trial=trial)
            for load in ends
            for trial in range(ladder.decided(load), self.plan.agreeing)
        ]
        if shuffled:
            self._random.shuffle(probes)
        return probes

    def _from_above(self) -> list[Probe]:
        """The load that passed, right after an overload; again and again until it passes."""
        low, high = self.ladder.bracket
        if not self.plan.from_above or low is None or high is None:
            return []
        tried = self.of(Purpose.FROM_ABOVE)
        again = self._probe(low, Purpose.FROM_ABOVE, seconds=self._as_long(low), rests=False)
        if not self.of(Purpose.OVERLOAD):
            overload = min(self.plan.axis.scaled(high, _OVERLOAD), self.plan.most)
            return [self._probe(overload, Purpose.OVERLOAD, seconds=self.plan.seconds), again]
        if tried and tried[-1].verdict is Verdict.FAIL and len(tried) < _MOST_RECOVERIES:
            return [again]
        return []

    def _rate(self) -> list[Probe]:
        """The throughput at the answer, offered by an open loop; less of it while it fails."""
        low = self.ladder.bracket.low
        if not self.plan.confirm_rate or self.plan.axis is not Axis.USERS or low is None:
            return []
        equivalent = self.throughput(low)
        tried = self.of(Purpose.RATE)
        if equivalent is None:
            return []
        if tried and tried[-1].verdict is Verdict.UNDECIDED:
            return self._insist(tried)
        if any(point.verdict is Verdict.PASS for point in tried):
            return []
        failed = [point for point in tried if point.verdict is Verdict.FAIL]
        factors = (1.0, *_LOWER_RATES)
        if len(failed) == len(factors):
            return []
        rate = Axis.RATE.scaled(equivalent, factors[len(failed)])
        probe = self._probe(low, Purpose.RATE, seconds=self._enough(rate))
        return [msgspec.structs.replace(probe, axis=Axis.RATE, load=rate, seed=self.plan.seed)]

    def _sustain(self) -> list[Probe]:
        low = self.ladder.bracket.low
        if not self.plan.sustain_s or low is None or self.of(Purpose.SUSTAIN):
            return []
        loads = dict.fromkeys(self.plan.axis.scaled(low, factor) for factor in _SUSTAINED)
        return [self._probe(load, Purpose.SUSTAIN, seconds=self.plan.sustain_s) for load in loads]

    def _insist(self, tried: list[Point]) -> list[Probe]:
        """The last of these probes again, when its client was doubtful, or for longer, when its figures were open."""
        last = tried[-1]
        same = [point for point in tried if point.load == last.load]
        if last.client_limited or last.observation.unusable is not None:
            return [last.probe] if len(same) < _MOST_RETESTS else []
        if last.probe.seconds >= self.plan.longest_s or last.least_s > self.plan.longest_s:
            return []
        return [msgspec.structs.replace(last.probe, seconds=self._grown(last, last.probe.seconds))]

    # ---- what a probe needs

    def throughput(self, load: float) -> float | None:
        """The streams per second at a load that was measured; None when no stream ended."""
        rates = [rate for point in self.ladder.points[load] if (rate := point.observation.streams_per_s)]
        return sum(rates) / len(rates) if rates else None

    def _probe(
        self,
        load: float,
        purpose: Purpose,
        *,
        seconds: float | None = None,
        trial: int | None = None,
        rests: bool = True,
    ) -> Probe:
        trials = len(self.ladder.points[load]) if load in self.ladder.points else 0
        return Probe(
            axis=self.plan.axis,
            load=load,
            seconds=self._seconds(load) if seconds is None else seconds,
            warmup_s=self._warmup_s(load) if rests else 0.0,
            seed=self.plan.seed + (trials if trial is None else trial),
            purpose=purpose,
            rests=rests,
        )

    def _longer(self, load: float) -> Probe | None:
        """An undecided load once more, for a time that probably decides it; None when no time would help."""
        ladder = self.ladder
        if ladder.is_wall(load) or ladder.decided(load) or ladder.exhausted(load) or load in self.given_up:
            return None
        longest = max(point.probe.seconds for point in ladder.points[load])
        seconds = self._decisive(ladder.open_trials(load), longest, load)
        return self._probe(load, Purpose.LONGER, seconds=seconds, trial=0)  # the same prompts, and more of them

    def _decisive(self, trials: Sequence[Point], longest: float, load: float) -> float:
        """How long to measure a load so that it is probably decided. The longest of `trials` shows that best."""
        by = max(trials, key=lambda point: point.probe.seconds, default=None)
        return max(self._grown(by, longest), self._seconds(load))

    def _grown(self, by: Point | None, longest: float) -> float:
        """The time in which the figures of `by` would probably be decided, clearly longer than the `longest` so far."""
        likely = by.likely_s(unknown_s=self.plan.longest_s) if by is not None and by.is_open else 2 * longest
        return float(min(max(ceil(likely), _LEAST_GROWTH * longest), self.plan.longest_s))

    def _as_long(self, load: float) -> float:
        """The time that probably decides one more trial of this load, at most that of the longest decided trial."""
        trials = self.ladder.points[load]
        decided = [point for point in trials if point.verdict is not Verdict.UNDECIDED]
        seconds = self._seconds(load)
        if decided:
            by = max(decided, key=lambda point: point.probe.seconds)
            most = by.probe.seconds
            seconds = max(seconds, min(most, ceil(by.likely_s(unknown_s=most))))
        if opened := self.ladder.open_trials(load):
            seconds = max(seconds, self._decisive(opened, max(point.probe.seconds for point in opened), load))
        return min(seconds, self.plan.longest_s)

    def _seconds(self, load: float) -> float:
        """Long enough for the streams that the objectives need, judged by the nearest load that was measured."""
        near = self.ladder.nearest(load)
        if near is None or not near.observation.streams_per_s:
            return self.plan.seconds
        return self._enough(near.observation.streams_per_s * min(load / near.load, 1.0))

    def _enough(self, rate_per_s: float) -> float:
        return float(min(max(self.plan.seconds, ceil(1.5 * self.plan.needed / rate_per_s)), self.plan.longest_s))

    def _warmup_s(self, load: float) -> float:
        """The time in which every user has begun its second stream, or its second session, capped."""
        near = self.ladder.nearest(load)
        if near is None or near.observation.residence_s is None:
            return _FIRST_WARMUP_S
        residence = near.observation.residence_s * max(load / near.load, 1.0)
        wanted = max(_WARMUP_RESIDENCES * residence, near.observation.session_s or 0.0, _FIRST_WARMUP_S)
        return round(min(wanted, self.plan.warmup_cap_s), 3)
