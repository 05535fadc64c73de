"""What a search may spend, what it has spent, and what the next point can cost at most."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.point import Point
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search

OVERHEAD_S = 4.0
"""A point starts Locust, asks for one stream before, and waits for the last streams."""


class Price(msgspec.Struct, frozen=True):
    """Money for a million tokens of prompts and of answers."""

    prompt: float = 0.0
    output: float = 0.0

    def of(self, prompt_tokens: float, output_tokens: float) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + output_tokens * self.output) / 1e6


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a search; None: no limit. `cost` is in the currency of the price."""

    seconds: float
    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price: Price = Price()


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What points have used, or can use."""

    seconds: float = 0.0
    requests: float = 0.0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.output_tokens


def spent(points: Iterable[Point]) -> Spent:
    """What some points have used."""
    total = Spent()
    for point in points:
        seen = point.observation
        total = total.plus(
            Spent(
                seconds=seen.took_s or point.probe.warmup_s + point.probe.seconds + OVERHEAD_S,
                requests=seen.requests,
                prompt_tokens=seen.prompt_tokens,
                output_tokens=seen.output_tokens,
            )
        )
    return total


def estimate(probe: Probe, near: Point | None, overhead_s: float = OVERHEAD_S) -> Spent:
    """The most that a probe is expected to use: the rate of the nearest point, grown with the load, for its time, and
    `overhead_s` besides.
    """
    length_s = probe.warmup_s + probe.seconds
    if near is None or not near.observation.requests:
        return Spent(seconds=length_s + overhead_s)
    seen = near.observation
    rate = seen.requests / (near.probe.warmup_s + near.probe.seconds)
    if probe.axis is near.probe.axis:
        rate *= max(probe.load / near.load, 1.0)
    elif probe.axis is Axis.RATE:
        rate = probe.load
    requests = rate * length_s
    return Spent(
        seconds=length_s + overhead_s,
        requests=requests,
        prompt_tokens=requests * seen.prompt_tokens / seen.requests,
        output_tokens=requests * seen.output_tokens / seen.requests,
    )


def exceeded(budget: Budget, used: Spent, coming: Spent) -> str | None:
    """The limit that the next point would exceed; None when there is room for it."""
    after = used.plus(coming)
    cost = budget.price.of(after.prompt_tokens, after.output_tokens)
    if after.seconds > budget.seconds:
        return f"the next point would exceed --budget {budget.seconds:g}s ({used.seconds:.0f} s are used)"
    if budget.requests is not None and after.requests > budget.requests:
        return f"the next point could exceed --max-requests {budget.requests:,} ({used.requests:,.0f} are used)"
    if budget.tokens is not None and after.tokens > budget.tokens:
        return f"the next point could exceed --max-total-tokens {budget.tokens:,} ({used.tokens:,.0f} are used)"
    if budget.cost is not None and cost > budget.cost:
        spent_so_far = budget.price.of(used.prompt_tokens, used.output_tokens)
        return f"the next point could exceed --max-cost {budget.cost:g} ({spent_so_far:.2f} are used)"
    return None


def affordable(search: Search, budget: Budget) -> Probe | None:
    """The next probe of a search, if the budget allows it; None at the end of the search.

    Both ends must be repeated, or there is no answer. So a probe that only narrows the interval must leave room for
    that: otherwise an undecided load is given up, or the interval stays as wide as it is. Any other probe that exceeds
    the budget stops the search.
    """
    used, overhead_s = spent(search.points), _overhead_s(search.points)
    while (probe := search.next) is not None:
        coming = estimate(probe, search.ladder.nearest(probe.load), overhead_s)
        kept = used.plus(_repeats(search, overhead_s)) if probe.purpose in (Purpose.LONGER, Purpose.BISECT) else used
        reason = exceeded(budget, kept, coming)
        if reason is None:
            return probe
        if kept is used or None in search.ladder.bracket:
            if exceeded(budget, used, coming) is None:
                return probe
            search.stop(reason)
        elif probe.purpose is Purpose.LONGER:
            search.give_up(probe.load, _too_long(probe, budget, kept.plus(coming)))
        else:
            search.stop_narrowing(reason)
    return None


def _repeats(search: Search, overhead_s: float) -> Spent:
    """What it takes to repeat both ends as they are now, twice: one trial of three decides nothing."""
    total = Spent()
    for probe in 2 * search.ends():
        total = total.plus(estimate(probe, search.ladder.nearest(probe.load), overhead_s))
    return total


def _overhead_s(points: Sequence[Point]) -> float:
    """What a point takes besides its load, by the points so far: on a busy machine Locust alone starts for 10 s."""
    taken = [
        point.observation.took_s - point.probe.warmup_s - point.probe.seconds
        for point in points
        if point.observation.took_s is not None and point.observation.stopped is None
    ]
    return max(median(taken), OVERHEAD_S) if taken else OVERHEAD_S


def _too_long(probe: Probe, budget: Budget, after: Spent) -> str:
    """Why a load is not measured for longer, when the search would have used `after` in the end."""
    if after.seconds > budget.seconds:
        left = max(budget.seconds - after.seconds + probe.seconds, 0)
        return f"needs about {probe.seconds:.0f} s more, and {left:.0f} s of --budget are left for it"
    return f"needs about {probe.seconds:.0f} s more, and that could exceed a limit"
