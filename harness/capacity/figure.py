"""What the streams of one point say about one objective: the figure, its interval, and the decision."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec

from streamgauge.capacity.objective import GOODPUT, Objective
from streamgauge.capacity.stream import Fate, Stream, Value
from streamgauge.metrics.dependence import Events, at_limit, of_share
from streamgauge.metrics.distributions import nearest_rank
from streamgauge.metrics.intervals import Decision, decide, error_of_share, percentile, wilson
from streamgauge.metrics.slo import FAR_SHARE

_LEAST_CLUSTERS: Final = 10
"""Fewer streams say too little about how their pools differ."""
_POWER: Final = NormalDist().inv_cdf(0.65)
_SPARE: Final = 1.2
_MOST: Final = 1_000_000_000


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """An objective at one point. `value`, `low` and `high` are in the unit of its limit; None where nothing bounds it.

    `misses` of `total` measurements certainly miss the limit, and `possible` do when the error of this client is not
    taken off. `worth` is how many independent streams the dependent ones are worth, and `needed` how many can show that
    the objective is met when none of them misses it. `margin` is the distance to the limit as a share of the limit:
    negative when the limit is exceeded.

    A point with `likely` measurements would decide the objective in 2 of 3 cases, as far as these show it; None where
    no number would. With fewer than `least`, a point is not worth a try. `doubt` says why this client may have
    distorted this figure, although not every figure: then the figure decides nothing.
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
    likely: int | None = None
    least: int | None = None
    doubt: str | None = None

    @property
    def fails(self) -> bool:
        """Whether more misses were measured than are allowed, so that more measurements would rather show a failure."""
        return self.decision is Decision.FAIL or (self.margin is not None and self.margin < 0 and self.misses > 0)


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
    limit, count = objective.condition.limit, len(values)
    worth = round(count / at_limit([value.value for value in values], limit), 1)
    if not possible and ordered[-1] <= FAR_SHARE * limit:
        worth = float(count)
    figure = Figure(slo=str(objective), value=measured, low=low, high=high, margin=_margin(measured, limit))
    return _decided(figure, misses, possible, count, worth, objective, confidence)


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
    worth = round(len(ended) / of_share(Events(bad)), 1)
    if objective.metric == GOODPUT:
        value, low, high = 1 - share, 1 - high, 1 - low
    else:
        value = share
    figure = Figure(slo=str(objective), value=value, low=low, high=high, margin=_margin(share, objective.allowed))
    return _decided(figure, misses, possible, len(ended), worth, objective, confidence)


def _decided(
    figure: Figure, misses: int, possible: int, total: int, worth: float, objective: Objective, confidence: float
) -> Figure:
    """The figure with its counts, what they decide, and how many would decide it."""
    enough = _enough(misses, possible, total, worth, objective, confidence)
    return msgspec.structs.replace(
        figure,
        needed=objective.needed(confidence),
        misses=misses,
        possible=possible,
        total=total,
        worth=worth,
        decision=_decision(misses, possible, total, objective.allowed, confidence, worth),
        likely=enough.likely,
        least=enough.least,
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
    if not total:
        return figure
    if not possible:
        # A share of all gaps is at most the share of streams with such a gap: only the streams count.
        clusters = len(values)
        enough = _enough(0, 0, total, clusters, objective, confidence)
        few = clusters < _LEAST_CLUSTERS
        return msgspec.structs.replace(
            figure,
            worth=float(clusters),
            decision=Decision.UNDECIDED if few else _decision(0, 0, clusters, objective.allowed, confidence),
            likely=enough.likely,
            least=enough.least,
        )
    if len(values) < _LEAST_CLUSTERS:
        return figure
    z, sizes = NormalDist().inv_cdf(confidence), [value.of for value in values]
    error = error_of_share([value.possible for value in values], sizes)
    upper = possible / total + z * error
    lower = misses / total - z * error_of_share([value.certain for value in values], sizes)
    decision = Decision.UNDECIDED
    if upper < objective.allowed:
        decision = Decision.PASS
    elif lower > objective.allowed:
        decision = Decision.FAIL
    worth = objective.allowed * (1 - objective.allowed) / error**2 if error else float(total)
    enough = _enough(misses, possible, total, worth, objective, confidence)
    return msgspec.structs.replace(figure, decision=decision, likely=enough.likely, least=enough.least)


class Enough(NamedTuple):
    """How many measurements would decide an objective: `likely`, None when no number does, and at `least`."""

    likely: int | None
    least: int


def _enough(misses: int, possible: int, total: int, worth: float, objective: Objective, confidence: float) -> Enough:
    """How many measurements would decide it, of which `total` are worth `worth` independent ones.

    By the normal approximation of the binomial distribution: a share is told from the allowed one when its distance is
    z standard errors. The true distance may be one standard error larger than the measured one.
    """
    allowed = objective.allowed
    each = total / max(min(worth, total), 1)  # measurements that are worth an independent one
    none = objective.needed(confidence) * each
    if not possible:
        return Enough(ceil(_SPARE * none), ceil(none))
    share = misses / total if misses / total > allowed else min(possible / total, allowed)
    z, variance, distance = NormalDist().inv_cdf(confidence), allowed * (1 - allowed), abs(share - allowed)
    error = sqrt(variance * each / total)
    least = max(z**2 * variance * each / (distance + error) ** 2, none if share <= allowed else 1)
    likely = (z + _POWER) ** 2 * variance * each / distance**2 if distance else _MOST
    return Enough(None if likely >= _MOST else ceil(max(likely, least)), ceil(least))


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
