"""What a search may spend, what it has spent, and what the next point can cost at most."""

from collections.abc import Iterable
from math import ceil, log2

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.point import Point
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.units import plural

_OVERHEAD_S = 4.0
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
                seconds=seen.took_s or point.probe.warmup_s + point.probe.seconds + _OVERHEAD_S,
                requests=seen.requests,
                prompt_tokens=seen.prompt_tokens,
                output_tokens=seen.output_tokens,
            )
        )
    return total


def estimate(probe: Probe, near: Point | None) -> Spent:
    """The most that a probe is expected to use: the rate of the nearest point, grown with the load, for its time."""
    length_s = probe.warmup_s + probe.seconds
    if near is None or not near.observation.requests:
        return Spent(seconds=length_s + _OVERHEAD_S)
    seen = near.observation
    rate = seen.requests / (near.probe.warmup_s + near.probe.seconds)
    if probe.axis is near.probe.axis:
        rate *= max(probe.load / near.load, 1.0)
    elif probe.axis is Axis.RATE:
        rate = probe.load
    requests = rate * length_s
    return Spent(
        seconds=length_s + _OVERHEAD_S,
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

    An undecided load that needs more than is left is given up: both ends must be repeated with what is left. Any other
    probe that exceeds the budget stops the search.
    """
    used = spent(search.points)
    while (probe := search.next) is not None:
        coming = estimate(probe, search.ladder.nearest(probe.load))
        if probe.purpose is not Purpose.LONGER or search.ladder.bracket.low is None:
            reason = exceeded(budget, used, coming)
            if reason is None:
                return probe
            search.stop(reason)
        else:
            kept = used
            for end in search.ends():
                kept = kept.plus(estimate(end, search.ladder.nearest(end.load)))
            if exceeded(budget, kept, coming) is None:
                return probe
            search.give_up(probe.load, _too_long(probe, budget, kept))
    return None


def _too_long(probe: Probe, budget: Budget, kept: Spent) -> str:
    """Why a load is not measured for longer."""
    left = max(budget.seconds - kept.seconds, 0)
    if probe.warmup_s + probe.seconds + _OVERHEAD_S > left:
        return f"needs about {probe.seconds:.0f} s more, and {left:.0f} s of --budget are left for it"
    return f"needs about {probe.seconds:.0f} s more, and that could exceed a limit"


def preview(plan: SearchPlan, budget: Budget) -> list[tuple[str, str]]:
    """What a search will do at most, said before it starts."""
    if plan.only is not None:
        loads, points = f"only {plan.axis.show(plan.only)}", f"until {plan.agreeing} of it agree"
        return [("loads", loads), ("points", points), *_each(plan, budget)]
    doubles = ceil(log2(plan.most / plan.start)) + 1
    bisections = ceil(log2(1 / plan.precision))
    ends = 2 * (plan.agreeing - 1)
    after = (2 if plan.from_above else 0) + (1 if plan.confirm_rate else 0) + (2 if plan.sustain_s else 0)
    points = (
        f"up to {doubles} to find the first failure, about {bisections} to come within {plan.precision:.0%}, {ends} to "
        f"repeat both ends, {after} after that"
    )
    return [
        ("loads", f"from {plan.axis.show(plan.start)}, doubled up to {plan.axis.show(plan.most)}"),
        ("points", points),
        *_each(plan, budget),
    ]


def _each(plan: SearchPlan, budget: Budget) -> list[tuple[str, str]]:
    """What each point takes, and the limits."""
    lines = [
        ("a point", f"{plan.seconds:g} s, up to {plan.longest_s:g} s where that decides nothing, after its warm-up"),
        ("streams", f"{plan.needed:,} without a miss decide every objective; near a limit it takes many more"),
        ("time", f"at most {budget.seconds / 60:,.0f} min (--budget)"),
    ]
    limits = [
        plural(budget.requests, "request") if budget.requests is not None else None,
        plural(budget.tokens, "token") if budget.tokens is not None else None,
        f"a cost of {budget.cost:g}" if budget.cost is not None else None,
    ]
    if known := [limit for limit in limits if limit is not None]:
        lines.append(("limits", f"at most {', '.join(known)}: the search stops before the point that could exceed it"))
    return lines
