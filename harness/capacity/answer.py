"""What a search found, as values and as sentences: the interval, what binds, and how the endpoint fails."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Final

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.point import Kind, Margin, Point, Verdict
from streamgauge.capacity.probe import Purpose
from streamgauge.capacity.search import Search
from streamgauge.units import plural, show_digits, two_digits_up

_CLIFF: Final = 0.5
_STEEP: Final = 0.15
"""Loss of margin for 10 % more load, as a share of the limit."""
_CACHE_MOVES: Final = 0.1
_LENGTH_MOVES: Final = 1.1
_PLATEAU_LOAD: Final = 1.3
_PLATEAU_GAIN: Final = 0.05
"""Throughput is flat when 30 % more load, or a larger load that was measured, brings less than 5 % more streams."""


class Ending(StrEnum):
    """How a search ended."""

    BRACKETED = "bracketed"
    AT_LEAST = "at least"
    CLIENT_LIMITED = "client-limited"
    NOTHING_PASSED = "nothing passed"
    UNDECIDED = "undecided"


class Shape(msgspec.Struct, frozen=True):
    """How fast the binding objective loses its margin around the boundary, for 10 % more load."""

    name: str
    loss: float


class Confirmation(msgspec.Struct, frozen=True):
    """A load that was measured after the interval was known."""

    load: float
    verdict: Verdict
    reason: str
    seconds: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a search. Loads are in the unit of the axis; None where there is none.

    `low` is the highest load that passed, `high` the lowest that failed. `undecided` loads lie between them.
    `left_open` says why these are undecided, and why no more loads in between were measured.
    `passed_above` passed although a lower load failed. `wall` is the load at which the client was the limit.
    """

    axis: Axis
    ending: Ending
    low: float | None
    high: float | None
    undecided: Sequence[float] = ()
    left_open: str | None = None
    passed_above: Sequence[float] = ()
    wall: float | None = None
    because: str | None = None
    trials_low: int = 0
    trials_high: int = 0
    binding: str | None = None
    binding_low: float | None = None
    binding_high: float | None = None
    runner_up: Margin | None = None
    kind: Kind | None = None
    plateau: float | None = None
    shape: Shape | None = None
    streams_per_s: float | None = None
    tokens_per_s: float | None = None
    recovery: str | None = None
    rates: Sequence[Confirmation] = ()
    sustained: Sequence[Confirmation] = ()
    client: Sequence[str] = ()
    caveats: Sequence[str] = ()
    points: int = 0
    seconds: float = 0

    def met(self, at_least: float) -> bool | None:
        """Whether the endpoint holds this load; None when that is not known."""
        if any(one.load <= at_least and one.verdict is Verdict.FAIL for one in self.sustained):
            return False
        if self.low is not None and self.low >= at_least:
            return True
        return False if self.high is not None and self.high <= at_least else None

    @property
    def headline(self) -> str:
        """The answer in one sentence, with what a long run at it said."""
        held = [f"{self.axis.show(one.load)} for {one.seconds:.0f} s: {one.verdict.value}" for one in self.sustained]
        return "; ".join([self._interval_text(), *held])

    def _interval_text(self) -> str:
        show = self.axis.show
        match self.ending:
            case Ending.BRACKETED if self.low is not None and self.high is not None:
                if self.left_open is not None:
                    return (
                        f"between {show(self.low)} (passed) and {show(self.high)} (failed), not decided further: "
                        f"{self.left_open}"
                    )
                return f"between {show(self.low)} (passed) and {show(self.high)} (failed)"
            case Ending.AT_LEAST:
                return f"≥ {show(self.low or 0)} (the largest load that was asked for)"
            case Ending.CLIENT_LIMITED if self.low is not None:
                return f"≥ {show(self.low)} (the client, not the server, ended the search)"
            case Ending.CLIENT_LIMITED:
                return "not known: the client, not the server, ended the search before a load had passed"
            case Ending.NOTHING_PASSED:
                return f"less than {show(self.high or 0)}: no load that was tried meets the objectives"
        if self.low is not None and self.high is not None:
            return f"between {show(self.low)} (passed) and {show(self.high)} (failed), then stopped: {self.because}"
        how = "not decided further" if self.because == self.left_open else "then stopped"
        if self.low is not None:
            return f"≥ {show(self.low)}, {how}: {self.because}"
        if self.high is not None:
            return f"less than {show(self.high)}, {how}: {self.because}"
        return f"not known: {self.because}"


def answer(search: Search) -> Answer:
    """The answer of a search as far as it has come."""
    ladder, axis = search.ladder, search.plan.axis
    low, high = ladder.bracket
    wall = ladder.wall if high is None else None
    between = ladder.undecided_between(low, high) if high is not None or wall is None else []
    undecided = [load for load in between if not ladder.is_wall(load)]
    left_open = _left_open(search, undecided)
    passes = _trials(search, low, Verdict.PASS)
    fails = _trials(search, high, Verdict.FAIL)
    binding = _binding(passes, fails)
    best = _mean_margins(passes)
    others = [Margin(slo, share) for slo, share in sorted(best.items(), key=lambda item: item[1]) if slo != binding]
    kinds = Counter(kind for point in fails if (kind := point.kind) is not None)
    at_low, at_high = best.get(binding or ""), _mean_margins(fails).get(binding or "")
    return Answer(
        axis=axis,
        ending=_ending(search),
        low=low,
        high=high,
        undecided=undecided,
        left_open=left_open,
        passed_above=ladder.passed_above,
        wall=wall,
        because=search.stopped or _cache_moved(search) or (left_open if None in (low, high) else None),
        trials_low=len(passes),
        trials_high=len(fails),
        binding=binding,
        binding_low=at_low,
        binding_high=at_high,
        runner_up=others[0] if others else None,
        kind=kinds.most_common(1)[0][0] if kinds else None,
        plateau=_plateau(search, low),
        shape=_shape(low, high, at_low, at_high),
        streams_per_s=search.throughput(low) if low is not None else None,
        tokens_per_s=_tokens_per_s(passes),
        recovery=_recovery(search),
        rates=_confirmations(search, Purpose.RATE),
        sustained=_confirmations(search, Purpose.SUSTAIN),
        client=_client(search, wall),
        caveats=_caveats(search),
        points=len(search.points),
        seconds=round(sum(point.probe.seconds + point.probe.warmup_s for point in search.points), 1),
    )


def _left_open(search: Search, undecided: Sequence[float]) -> str | None:
    """Why these loads are undecided, loads with the same reason together, and why the interval is not narrower."""
    loads: dict[str, list[float]] = {}
    for load in undecided:
        loads.setdefault(_why_open(search, load), []).append(load)
    show = search.plan.axis.show
    found = [f"{', '.join(map(show, group))} {why}" for why, group in loads.items()]
    if search.not_narrowed is not None:
        found.append(f"no more loads in between, because {search.not_narrowed}")
    return "; ".join(found) or None


def _why_open(search: Search, load: float) -> str:
    ladder, longest = search.ladder, f"{search.plan.longest_s:g} s"
    if (reason := search.given_up.get(load)) is not None:
        return reason
    if (least_s := ladder.least_s(load)) is not None:
        return f"would need more than {two_digits_up(least_s):,} s, and --longest is {longest}"
    if ladder.exhausted(load):
        return f"allowed both answers even for the longest time ({longest})"
    return "passed and failed" if ladder.decided(load) else "allowed both answers"


def _ending(search: Search) -> Ending:
    ladder, plan = search.ladder, search.plan
    low, high = ladder.bracket
    if not search.points or _cache_moved(search) is not None:
        return Ending.UNDECIDED
    if ladder.wall is not None and high is None:
        return Ending.CLIENT_LIMITED  # also when a budget ends: the rest of the search stays below this wall
    if not search.settled:
        return Ending.UNDECIDED
    if high is not None and low is None:
        return Ending.UNDECIDED if ladder.undecided_between(None, high) else Ending.NOTHING_PASSED
    if high is not None:
        return Ending.BRACKETED
    most = plan.most if plan.only is None else plan.only
    return Ending.AT_LEAST if low is not None and low >= most else Ending.UNDECIDED


def _trials(search: Search, load: float | None, verdict: Verdict) -> list[Point]:
    if load is None:
        return []
    return [point for point in search.ladder.points[load] if point.verdict is verdict]


def _mean_margins(points: Sequence[Point]) -> dict[str, float]:
    """Each objective with its mean margin over some points."""
    shares: dict[str, list[float]] = {}
    for point in points:
        for margin in point.margins:
            shares.setdefault(margin.slo, []).append(margin.share)
    return {slo: round(sum(values) / len(values), 6) for slo, values in shares.items()}


def _binding(passes: Sequence[Point], fails: Sequence[Point]) -> str | None:
    """The objective that ends the capacity: of those missed at the first load that failed, the one that had the least
    margin where all were met. Without a failure, the one with the least margin.
    """
    before, after = _mean_margins(passes), _mean_margins(fails)
    missed = {slo for point in fails for slo in point.missed}
    candidates = missed or before.keys()
    if not candidates:
        return None
    return min(candidates, key=lambda slo: (before.get(slo, after.get(slo, 0.0)), after.get(slo, 0.0)))


def _plateau(search: Search, low: float | None) -> float | None:
    """The gain of throughput at the nearest load that is clearly larger than the answer, when it is nearly none."""
    at = search.throughput(low) if low is not None else None
    if low is None or not at:
        return None
    for load in search.ladder.loads:
        more = search.throughput(load)
        if load >= _PLATEAU_LOAD * low and more is not None:
            gain = more / at - 1
            return round(gain, 4) if gain < _PLATEAU_GAIN else None
    return None


def _shape(low: float | None, high: float | None, before: float | None, after: float | None) -> Shape | None:
    if not low or high is None or before is None or after is None or not isfinite(before - after):
        return None
    loss = (before - after) / ((high - low) / (0.1 * low))
    return Shape("cliff" if loss >= _CLIFF else "steep" if loss >= _STEEP else "slope", round(loss, 4))


def _tokens_per_s(points: Sequence[Point]) -> float | None:
    rates = [rate for point in points if (rate := point.observation.tokens_per_s) is not None]
    return round(sum(rates) / len(rates), 1) if rates else None


def _recovery(search: Search) -> str | None:
    """What happened when the load that passed came right after an overload."""
    tried = search.of(Purpose.FROM_ABOVE)
    overloads = search.of(Purpose.OVERLOAD)
    if not tried or not overloads:
        return None
    after = f"after {overloads[-1].probe.shown}"
    seconds = 0.0
    for point in tried:
        if point.verdict is Verdict.PASS:
            return f"passes at once {after}" if not seconds else f"recovers {after} within {seconds:.0f} s"
        seconds += point.probe.seconds
    if any(point.verdict is Verdict.FAIL for point in tried):
        return f"does not recover {after} within {seconds:.0f} s: {tried[-1].reason}"
    return f"not decided {after}: {tried[-1].reason}"


def _confirmations(search: Search, purpose: Purpose) -> list[Confirmation]:
    """Each load that was confirmed, by its last trial: one is tried again where the trial before decided nothing."""
    last = {point.load: point for point in search.of(purpose)}
    return [Confirmation(load, point.verdict, point.reason, point.probe.seconds) for load, point in last.items()]


def _client(search: Search, wall: float | None) -> list[str]:
    """What is known of the client where it was the limit."""
    if wall is None:
        return []
    seen = search.ladder.points[wall][-1].observation
    facts = list(seen.client_reasons) if seen.client in ("SUSPECT", "INVALID") else []
    facts += [f"{figure.slo}: {figure.doubt}" for figure in seen.figures if figure.doubt is not None and not facts]
    if seen.core_used is not None:
        facts.append(f"its busiest process used {seen.core_used:.0%} of a core")
    if seen.core_awaited is not None:
        facts.append(f"a process waited for a core for {seen.core_awaited:.0%} of its time")
    if seen.loop_late_ms is not None:
        facts.append(f"its event loop was up to {seen.loop_late_ms:.1f} ms late (p99)")
    return facts


def _bounds(search: Search) -> list[Point]:
    """The decided points at both ends of the interval, else all decided ones."""
    low, high = search.ladder.bracket
    points = [
        point for point in search.points if point.probe.purpose.is_bound and point.verdict is not Verdict.UNDECIDED
    ]
    return [point for point in points if point.load in (low, high)] or points


def _cache_moved(search: Search) -> str | None:
    """Why the loads cannot be compared: a cache answered more at one end of the interval than at the other."""
    shares = [share for point in _bounds(search) if (share := point.observation.cached_share) is not None]
    if not shares or max(shares) - min(shares) <= _CACHE_MOVES:
        return None
    return (
        f"the share of prompt tokens from the server's cache moved from {min(shares):.0%} to {max(shares):.0%} between "
        "the points, so their work was not the same"
    )


def _caveats(search: Search) -> list[str]:
    """What a reader of the answer must know."""
    found = []
    lengths = [
        seen.tokens_per_s / seen.streams_per_s
        for point in _bounds(search)
        if (seen := point.observation).tokens_per_s and seen.streams_per_s
    ]
    if lengths and max(lengths) > _LENGTH_MOVES * min(lengths):
        found.append(
            f"answers had {min(lengths):.1f} to {max(lengths):.1f} tokens at the ends of the interval: hold their "
            "length, for example with --max-tokens and ignore_eos in --body"
        )
    cold = next((point for point in search.points if point.observation.cold is not None), None)
    if cold is not None:
        found.append(f"cold engine at {cold.probe.shown}: {cold.observation.cold}")
    return found


def sentences(found: Answer) -> list[tuple[str, str]]:
    """The answer in labelled lines, the headline first."""
    show = found.axis.show
    lines = [("capacity", found.headline)]
    if found.binding is not None:
        parts = [found.binding]
        if found.binding_low is not None and found.low is not None:
            parts.append(f"margin {found.binding_low:.0%} at {show(found.low)}")
        if found.binding_high is not None and found.high is not None:
            parts.append(f"{_beyond(found.binding_high)} at {show(found.high)}")
        lines.append(("binding SLO", ", ".join(parts)))
    if found.runner_up is not None:
        lines.append(("runner-up", f"{found.runner_up.slo}, margin {found.runner_up.share:.0%} at the answer"))
    if found.kind is not None:
        lines.append(("kind of limit", _KINDS[found.kind]))
    if found.plateau is not None:
        flat = (
            f"flat: more load brings {found.plateau:+.0%}"
            if found.plateau > -_PLATEAU_GAIN
            else (f"falls by {-found.plateau:.0%} with more load")
        )
        lines.append(("throughput", flat))
    if found.shape is not None:
        lines.append(("beyond it", _shape_text(found.shape)))
    if found.streams_per_s is not None:
        tokens = "" if found.tokens_per_s is None else f", {found.tokens_per_s:,.1f} tokens/s"
        lines.append(("at the answer", f"{show_digits(found.streams_per_s)} streams/s{tokens}"))
    for one in found.rates:
        lines.append(("open loop", f"{Axis.RATE.show(one.load)} (Poisson): {one.verdict.value}, {one.reason}"))
    if found.recovery is not None:
        lines.append(("from above", f"{show(found.low or 0)}: {found.recovery}"))
    for one in found.sustained:
        lines.append(("sustained", f"{show(one.load)} for {one.seconds:.0f} s: {one.verdict.value}, {one.reason}"))
    if found.passed_above:
        loads = ", ".join(show(load) for load in found.passed_above)
        lines.append(("not monotone", f"{loads} passed although less load failed: the lowest failure is the answer"))
    if found.client:
        lines.append(("this client", "; ".join(found.client)))
    if found.because is not None and found.ending is not Ending.UNDECIDED:
        lines.append(("not measured", found.because))
    lines += [("caveat", text) for text in found.caveats]
    lines.append(
        ("evidence", f"{plural(found.points, 'point')}, {found.seconds:,.0f} s of load, {_trials_text(found)}")
    )
    return lines


def _beyond(margin: float) -> str:
    return f"exceeded by {-margin:.0%}" if margin < 0 else f"margin {margin:.0%}, but too many misses"


def _trials_text(found: Answer) -> str:
    ends = []
    if found.low is not None:
        ends.append(f"{found.axis.show(found.low)} passed {_times(found.trials_low)}")
    if found.high is not None:
        ends.append(f"{found.axis.show(found.high)} failed {_times(found.trials_high)}")
    return " and ".join(ends) or "nothing decided"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _shape_text(shape: Shape) -> str:
    loss = f"10 % more load costs {shape.loss:.0%} of the limit"
    return {"cliff": f"falls off a cliff: {loss}", "steep": f"degrades fast: {loss}"}.get(
        shape.name, f"degrades slowly: {loss}"
    )


_KINDS: Final = {
    Kind.REFUSAL: "refusal: the endpoint answers 429, 503 or 529",
    Kind.LATENCY: "latency: streams are too slow, and none is refused",
    Kind.BREAKAGE: "breakage: streams fail or are cut",
    Kind.BACKLOG: "backlog: more streams arrive than end",
}
