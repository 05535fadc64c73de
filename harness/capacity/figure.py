"""What the streams of one point say about one objective: the figure, its interval, and the decision."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from statistics import NormalDist
from typing import Final

import msgspec

from streamgauge.capacity.objective import GOODPUT, Objective
from streamgauge.capacity.stream import Fate, Stream, Value
from streamgauge.metrics.dependence import clear_dependence, dependence_at
from streamgauge.metrics.distributions import nearest_rank
from streamgauge.metrics.intervals import Decision, decide, error_of_share, percentile, wilson

_LEAST_CLUSTERS: Final = 10
"""Fewer streams say too little about how their pools differ."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """An objective at one point. `value`, `low` and `high` are in the unit of its limit; None where nothing bounds it.

    `misses` of `total` measurements certainly miss the limit, and `possible` do when the error of this client is not
    taken off. `worth` is how many independent streams the dependent ones are worth, and `needed` how
    many can show that the objective is met when none of them misses it. `margin` is the distance to the
    limit as a share of the limit: negative when the limit is exceeded. `doubt` says why this client may have distorted
    this figure, although not every figure: then the figure decides nothing.
    """

    slo: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    misses: int = 0
    possible: int = 0
    total: int = 0
    worth: float | None = None
    needed: int = 0
    decision: Decision = Decision.UNDECIDED
    margin: float | None = None
    doubt: str | None = None


def figures(
    streams: Sequence[Stream],
    objectives: Sequence[Objective],
    pooled: Mapping[str, float],
    confidence: float,
    doubts: Mapping[str, str] = {},
) -> list[Figure]:
    """A figure for each objective, in the order of the streams' `values`. By objective: `pooled` has the percentiles of
    pooled metrics, `doubts` the reasons why this client may have distorted the figure.
    """
    return [
        msgspec.structs.replace(figure, doubt=doubts.get(figure.slo))
        for figure in _figures(streams, objectives, pooled, confidence)
    ]


def _figures(
    streams: Sequence[Stream], objectives: Sequence[Objective], pooled: Mapping[str, float], confidence: float
) -> list[Figure]:
    found = []
    for index, objective in enumerate(objectives):
        where = objective.condition.where
        if not objective.is_latency:
            members = [stream for stream in streams if stream.values[index] is not None] if where else streams
            found.append(_share(members, objective, objectives, confidence))
            continue
        values = [value for stream in streams if (value := stream.values[index]) is not None]
        if objective.is_pooled:
            found.append(_pooled(values, objective, pooled.get(str(objective)), confidence))
        else:
            found.append(_latency(values, objective, confidence))
    return found


def _latency(values: Sequence[Value], objective: Objective, confidence: float) -> Figure:
    if not values:
        return Figure(slo=str(objective), needed=objective.needed(confidence))
    ordered = sorted(value.value for value in values)
    quantile = 1 - objective.allowed
    measured = nearest_rank(ordered, quantile)
    low, high = percentile(ordered, quantile, confidence)
    misses, possible = sum(value.certain for value in values), sum(value.possible for value in values)
    worth = round(len(values) / dependence_at([value.value for value in values], objective.condition.limit), 1)
    return Figure(
        slo=str(objective),
        needed=objective.needed(confidence),
        value=measured,
        low=low,
        high=high,
        misses=misses,
        possible=possible,
        total=len(values),
        worth=worth,
        decision=_decision(misses, possible, len(values), objective.allowed, confidence, worth),
        margin=_margin(measured, objective.condition.limit),
    )


def _share(
    streams: Sequence[Stream], objective: Objective, objectives: Sequence[Objective], confidence: float
) -> Figure:
    """An error rate, or a goodput. Failed streams count; streams that this client cut do not."""
    ended = [stream for stream in streams if stream.fate is not Fate.CUT]
    if objective.metric == GOODPUT:
        misses = sum(_is_bad(stream, objectives, certain=True) for stream in ended)
        bad = [_is_bad(stream, objectives, certain=False) for stream in ended]
    else:
        bad = [stream.fate is not Fate.OK for stream in ended]
        misses = sum(bad)
    possible = sum(bad)
    if not ended:
        return Figure(slo=str(objective), needed=objective.needed(confidence))
    low, high = wilson(misses, len(ended), confidence)
    assert low is not None
    assert high is not None
    share = misses / len(ended)
    worth = round(len(ended) / clear_dependence([float(one) for one in bad]), 1)
    if objective.metric == GOODPUT:
        value, low, high = 1 - share, 1 - high, 1 - low
    else:
        value = share
    return Figure(
        slo=str(objective),
        needed=objective.needed(confidence),
        value=value,
        low=low,
        high=high,
        misses=misses,
        possible=possible,
        total=len(ended),
        worth=worth,
        decision=_decision(misses, possible, len(ended), objective.allowed, confidence, worth),
        margin=_margin(share, objective.allowed),
    )


def _is_bad(stream: Stream, objectives: Sequence[Objective], *, certain: bool) -> bool:
    """Whether the stream failed, or has a measurement beyond a limit."""
    return stream.fate is not Fate.OK or any(
        value is not None and bool(value.certain if certain else value.possible)
        for value, objective in zip(stream.values, objectives, strict=True)
        if objective.is_latency
    )


def _pooled(values: Sequence[Value], objective: Objective, measured: float | None, confidence: float) -> Figure:
    """A percentile over the gaps of all streams. The gaps of one stream depend on each other, so each stream is one
    observation: its share of gaps above the limit, weighted by their number.
    """
    misses, possible, total = (
        sum(getattr(value, field) for value in values) for field in ("certain", "possible", "of")
    )
    figure = Figure(
        slo=str(objective),
        needed=objective.needed(confidence),
        value=measured,
        misses=misses,
        possible=possible,
        total=total,
        margin=None if measured is None else _margin(measured, objective.condition.limit),
    )
    if len(values) < _LEAST_CLUSTERS or not total:
        return figure
    if not possible:
        # A share of all gaps is at most the share of streams with such a gap.
        return msgspec.structs.replace(figure, decision=_decision(0, 0, len(values), objective.allowed, confidence))
    z, sizes = NormalDist().inv_cdf(confidence), [value.of for value in values]
    upper = possible / total + z * error_of_share([value.possible for value in values], sizes)
    lower = misses / total - z * error_of_share([value.certain for value in values], sizes)
    decision = Decision.UNDECIDED
    if upper < objective.allowed:
        decision = Decision.PASS
    elif lower > objective.allowed:
        decision = Decision.FAIL
    return msgspec.structs.replace(figure, decision=decision)


def _decision(
    misses: int, possible: int, total: int, allowed: float, confidence: float, worth: float | None = None
) -> Decision:
    """Only certain misses can make a point fail. A point passes only if it would pass with every possible miss.

    Counts are those of the `worth` independent streams, rounded to the side that decides less.
    """
    independent = int(min(worth or total, total))
    share = independent / total
    if decide(floor(misses * share), independent, allowed, confidence) is Decision.FAIL:
        return Decision.FAIL
    if decide(ceil(possible * share), independent, allowed, confidence) is Decision.PASS:
        return Decision.PASS
    return Decision.UNDECIDED


def _margin(measured: float, limit: float) -> float | None:
    return round((limit - measured) / limit, 6) if limit else None
