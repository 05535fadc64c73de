"""How much a search takes, before anything is measured: the real search, with an imaginary endpoint."""

from math import ceil, log2
from typing import Final, NamedTuple

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.budget import OVERHEAD_S, Budget, Spent, affordable, spent
from streamgauge.capacity.point import Observation, Point, Verdict
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.units import plural, show_digits

_TTFT_S: Final = 0.5
_TOKENS_PER_S: Final = 50
_UNKNOWN_TOKENS: Final = 250
_STEP: Final = 8
"""The search is shown for several capacities. Each is 8 times the one before."""
_SMALLER: Final = 3
_LARGEST: Final = 0.9
_NEAR: Final = 0.06
"""A load within 6 % of the capacity takes the longest time to be decided."""
_MOST_POINTS: Final = 300


class Sizes(NamedTuple):
    """The tokens of a stream's prompt and answer, on average, and the pause of its user after it. None is not known."""

    prompt: float | None = None
    output: float | None = None
    pause_s: float = 0.0
    understood: str | None = None

    @property
    def answer(self) -> float:
        """How many tokens an answer is taken to have."""
        return _UNKNOWN_TOKENS if self.output is None else self.output

    @property
    def stream_s(self) -> float:
        """How long a stream is taken to last."""
        return _TTFT_S + self.answer / _TOKENS_PER_S


class Row(NamedTuple):
    """How much a search takes when the endpoint holds `capacity`. `ended` names the limit that ends it too early."""

    capacity: float
    points: int
    used: Spent
    ended: str | None


def preview(plan: SearchPlan, budget: Budget, sizes: Sizes) -> list[Row]:
    """The search for several capacities. The last one is a little below the largest load: that takes most."""
    if plan.only is not None:
        return [_searched(plan, budget, sizes, plan.only)]
    capacities, capacity = list[float](), plan.start
    largest = plan.axis.scaled(plan.most, _LARGEST)
    while (capacity := capacity * _STEP) < largest and len(capacities) < _SMALLER:
        capacities.append(capacity)
    return [_searched(plan, budget, sizes, one) for one in (*capacities, largest)]


def _searched(plan: SearchPlan, budget: Budget, sizes: Sizes, capacity: float) -> Row:
    search = Search(plan)
    while len(search.points) < _MOST_POINTS and (probe := affordable(search, budget)) is not None:
        search.take(_imagined(probe, plan, sizes, capacity))
    given_up = None if search.settled else search.stopped
    return Row(capacity, len(search.points), spent(search.points), given_up)


def _imagined(probe: Probe, plan: SearchPlan, sizes: Sizes, capacity: float) -> Point:
    """The point of an endpoint that holds this load, and whose loads near it need the longest time."""
    length_s = probe.warmup_s + probe.seconds
    rate = probe.load / (sizes.stream_s + sizes.pause_s) if probe.axis.is_whole else probe.load
    requests = round(rate * length_s)
    held = probe.load <= capacity if probe.axis is plan.axis else True
    is_near = probe.axis is plan.axis and abs(probe.load - capacity) <= _NEAR * capacity
    verdict = Verdict.PASS if held else Verdict.FAIL
    if (is_near and probe.seconds < plan.longest_s) or rate * probe.seconds < plan.needed:
        verdict = Verdict.UNDECIDED
    seen = Observation(
        seconds=probe.seconds,
        requests=requests,
        ok=requests,
        streams_per_s=rate,
        residence_s=sizes.stream_s,
        prompt_tokens=round(requests * (sizes.prompt or 0)),
        output_tokens=round(requests * sizes.answer),
        took_s=length_s + OVERHEAD_S + (1.0 if probe.rests else 0.0),
    )
    return Point(probe=probe, observation=seen, verdict=verdict, reason="imagined")


def plan_lines(plan: SearchPlan, budget: Budget, sizes: Sizes) -> list[tuple[str, str]]:
    """The plan in labelled lines."""
    show = plan.axis.show
    loads = f"from {show(plan.start)}, doubled up to {show(plan.most)}"
    if plan.only is not None:
        loads = f"only {show(plan.only)}"
    lines = [
        ("loads", loads),
        ("points", _points(plan)),
        ("a point", f"{plan.seconds:g} s, up to {plan.longest_s:g} s where that decides nothing, after its warm-up"),
        ("streams", f"{plan.needed:,} without a miss decide every objective; near a limit it takes many more"),
        ("time", f"at most {_span(budget.seconds)} (--budget)"),
    ]
    limits = [
        plural(budget.requests, "request") if budget.requests is not None else None,
        plural(budget.tokens, "token") if budget.tokens is not None else None,
        f"a cost of {budget.cost:g}" if budget.cost is not None else None,
    ]
    if known := [limit for limit in limits if limit is not None]:
        lines.append(("limits", f"at most {', '.join(known)}: the search stops before the point that could exceed it"))
    if sizes.understood is not None:
        lines.append(("trace", sizes.understood))
    return lines


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{show_digits(seconds / 60)} min"


def _points(plan: SearchPlan) -> str:
    """How many points each step takes."""
    if plan.only is not None:
        return f"until {plan.agreeing} of it agree"
    doubles, bisections = ceil(log2(plan.most / plan.start)) + 1, ceil(log2(1 / plan.precision))
    rates = plan.confirm_rate and plan.axis is Axis.USERS
    after = (2 if plan.from_above else 0) + (1 if rates else 0) + (2 if plan.sustain_s else 0)
    return (
        f"up to {doubles} to find the first failure, about {bisections} to come within {plan.precision:.0%}, "
        f"{2 * (plan.agreeing - 1)} to repeat both ends, {after} after that"
    )


def assumption(sizes: Sizes) -> str:
    """What the rows of a preview assume of a stream."""
    output = f"{sizes.answer:,.0f} tokens{' (--output-tokens is not given)' if sizes.output is None else ''}"
    prompt = "" if sizes.prompt is None else f" for a prompt of {sizes.prompt:,.0f} tokens"
    pause = f", and its user then pauses for {sizes.pause_s:.1f} s" if sizes.pause_s else ""
    return (
        f"assumed: a stream of {output}{prompt} takes {sizes.stream_s:.1f} s ({_TOKENS_PER_S} tokens/s){pause}. The "
        "limits count what was measured"
    )
