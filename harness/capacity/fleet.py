"""How many replicas a number of users needs, and the models that say how throughput and waits grow with the load.

A model is fitted to the points of a search, printed with its error, and refused where it does not fit: a curve through
three points, or one that misses them by a tenth, would only look like knowledge.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.probe import Purpose
from streamgauge.capacity.search import Search
from streamgauge.metrics.slo import parse_slo
from streamgauge.units import SECOND, plural, show_digits

_MOST_ERROR: Final = 0.05
_MOST_POINTS_OFF: Final = 0.10
_LEAST_LOADS: Final = 4
"""Loads for the three parameters of the scalability law: with fewer, it fits anything."""


class Scalability(msgspec.Struct, frozen=True, kw_only=True):
    """The universal scalability law (Gunther, 1993): X(N) = rate N / (1 + contention (N - 1) + coherency N (N - 1)).

    `error` is the root mean square of the relative errors at the points; None with too few of them. `peak` is the
    number of users with the largest throughput; None where it grows for ever. `refused` says why the law says nothing.
    """

    rate: float
    contention: float
    coherency: float
    error: float | None
    peak: float | None = None
    refused: str | None = None

    def at(self, users: float) -> float:
        """Streams per second at a number of users."""
        return self.rate * users / (1 + self.contention * (users - 1) + self.coherency * users * (users - 1))


def scalability(throughput: Mapping[float, float]) -> Scalability:
    """The law fitted to the streams per second at each number of users.

    N / X is linear in its parameters, so the fit is a least square with weights that make all relative errors count
    alike. A parameter below 0 has no meaning; it is set to 0, and the others are fitted again.
    """
    points = [(users, rate) for users, rate in sorted(throughput.items()) if users > 0 and rate > 0]
    if len(points) < _LEAST_LOADS:
        return Scalability(
            rate=0, contention=0, coherency=0, error=None,
            refused=f"{plural(len(points), 'load')} with a throughput, and the law needs {_LEAST_LOADS}",
        )  # fmt: skip
    best = None
    for active in ((True, True), (True, False), (False, True), (False, False)):
        found = _fitted(points, active)
        if found is not None and (best is None or (found.error or 0) < (best.error or 0)):
            best = found
    assert best is not None, "a line always fits"
    if (best.error or 0) > _MOST_ERROR:
        return msgspec.structs.replace(best, refused=f"it misses the points by {best.error:.0%}")
    return best


def _fitted(points: Sequence[tuple[float, float]], active: tuple[bool, bool]) -> Scalability | None:
    rows, sides = [], []
    for users, rate in points:
        weight = rate / users  # relative errors of N / X, and so of X
        columns = [1.0, users - 1, users * (users - 1)]
        chosen = [columns[0], *(column for column, used in zip(columns[1:], active, strict=True) if used)]
        rows.append([weight * column for column in chosen])
        sides.append(1.0)
    solved = _least_squares(rows, sides)
    if solved is None or solved[0] <= 0:
        return None
    rest = iter(solved[1:])
    linear, square = (next(rest) if used else 0.0 for used in active)
    if linear < 0 or square < 0:
        return None
    law = Scalability(
        rate=1 / solved[0],
        contention=linear / solved[0],
        coherency=square / solved[0],
        error=0.0,
    )
    error = math.sqrt(sum((law.at(users) / rate - 1) ** 2 for users, rate in points) / len(points))
    peak = None
    if law.coherency > 0 and law.contention < 1:
        peak = math.sqrt((1 - law.contention) / law.coherency)
    return msgspec.structs.replace(law, error=round(error, 6), peak=peak)


def _least_squares(rows: Sequence[Sequence[float]], sides: Sequence[float]) -> list[float] | None:
    """The solution of the normal equations, by elimination with pivots; None where they have none."""
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * side for row, side in zip(rows, sides, strict=True))]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) < 1e-12:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[column], strict=True)]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]


def erlang_c(slots: int, offered: float) -> float:
    """The share of arrivals that wait for one of `slots`, when `offered` streams would run without a limit.

    Arrivals are Poisson and lengths exponential (Erlang, 1917). 1 where the load is larger than the slots.
    """
    if offered >= slots:
        return 1.0
    blocked = 1.0
    for number in range(1, slots + 1):  # Erlang B, by its recursion
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - offered / slots * (1 - blocked))


class Queueing(msgspec.Struct, frozen=True, kw_only=True):
    """Erlang C against an open loop that was measured: the share of streams that wait longer than the limit allows."""

    slots: int
    rate: float
    predicted: float
    measured: float
    refused: str | None = None


def queueing(slots: int, rate: float, service_s: float, spare_s: float, measured: float) -> Queueing:
    """The share that waits longer than `spare_s` by Erlang C; refused where it is more than 10 points beside the truth.

    `service_s` is how long a stream holds its slot, `spare_s` how long it may wait for one.
    """
    offered = rate * service_s
    predicted = erlang_c(slots, offered)
    if offered < slots:
        predicted *= math.exp(-(slots - offered) / service_s * max(spare_s, 0.0))
    off = abs(predicted - measured)
    return Queueing(
        slots=slots,
        rate=rate,
        predicted=round(predicted, 4),
        measured=round(measured, 4),
        refused=f"it is {off:.0%} of the streams beside the measurement" if off > _MOST_POINTS_OFF else None,
    )


class Replicas(NamedTuple):
    """The replicas for a number of users: at least `low`, at most `high`. They are the same where the capacity is known
    to one user. `low` is None where no load failed, `high` where none passed.
    """

    users: int
    low: int | None
    high: int | None

    @property
    def words(self) -> str:
        """The number in words."""
        match self.low, self.high:
            case None, None:
                return "a number of replicas that is not known"
            case low, None:
                return f"at least {plural(low or 1, 'replica')}"
            case None, high:
                return f"at most {plural(high or 1, 'replica')}"
        return plural(self.low or 1, "replica") if self.low == self.high else f"{self.low:,} to {self.high:,} replicas"


def replicas_for(
    users: int,
    low: float | None,
    high: float | None,
    *,
    of: int = 1,
    headroom: float = 0.0,
    skew: float = 1.0,
) -> Replicas:
    """How many replicas `users` need, when `of` of them together hold at least `low` and fail at `high`.

    `headroom` is the share by which the load may grow. `skew` is how many times its fair share the busiest replica
    gets: 1 with round-robin, and 1 for a capacity that was measured with this skew.
    """
    wanted = users * (1 + headroom) * skew * of
    most = None if high is None else max(high - 1, low or 0)  # whole users: at `high` it fails
    fewest = None if not most else _ceil(wanted / most)
    return Replicas(users, fewest, None if not low else max(_ceil(wanted / low), fewest or 1))


def _ceil(value: float) -> int:
    return max(math.ceil(round(value, 9)), 1)


def with_pauses(capacity: float, residence_s: float, pause_s: float) -> float:
    """The users that a capacity without pauses is worth, when each pauses between two streams (Little's law).

    A user who pauses asks for nothing: only the share `residence / (residence + pause)` of the users is in the system.
    """
    return capacity * (residence_s + pause_s) / residence_s


def skew_of(counts: Mapping[str, int]) -> float | None:
    """How many times its fair share the busiest replica got; None with fewer than two replicas."""
    total = sum(counts.values())
    return max(counts.values()) * len(counts) / total if len(counts) > 1 and total else None


_NO_USERS: Final = Scalability(
    rate=0, contention=0, coherency=0, error=None, refused="it is a law over users, and this search varied the rate"
)


class FleetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to plan: `users` who pause `pause_s` between two streams, with room for `headroom` more of them.

    `slots` is how many streams a replica serves at once, and `replicas` how many are behind the URL, where that is
    known.
    """

    users: int | None = None
    headroom: float = 0.2
    pause_s: float = 0.0
    slots: int | None = None
    replicas: int | None = None


class OneReplica(msgspec.Struct, frozen=True):
    """The interval of one replica, searched at its own URL."""

    url: str
    low: float | None
    high: float | None


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Models of the endpoint, and the replicas that a number of users needs. What cannot be said is None."""

    law: Scalability
    queue: Queueing | None = None
    needs: Replicas | None = None
    headroom: float = 0.0
    pause_s: float = 0.0
    skew: float | None = None
    replicas: Mapping[str, int] = {}
    each: Sequence[OneReplica] = ()
    ratio_low: float | None = None
    ratio_high: float | None = None


def fleet_of(search: Search, request: FleetRequest, each: Sequence[OneReplica] = ()) -> Fleet:
    """What the points of a search say about a fleet. `each` are the intervals of its replicas, where they are known."""
    ladder = search.ladder
    low, high = ladder.bracket
    counts: Counter[str] = Counter()
    for point in search.points:
        counts.update(point.observation.replicas)
    skew = skew_of(counts)
    base = each[0] if each else OneReplica("", low, high)
    users_low, users_high = _paused(search, base.low, request), _paused(search, base.high, request)
    rates = {load: rate for load in ladder.loads if (rate := search.throughput(load)) is not None}
    return Fleet(
        law=scalability(rates) if search.plan.axis.is_whole else _NO_USERS,
        queue=_queue(search, request),
        needs=None
        if request.users is None or not search.plan.axis.is_whole
        else replicas_for(
            request.users,
            users_low,
            users_high,
            of=1 if each else request.replicas or max(len(counts), 1),
            headroom=request.headroom,
            skew=skew or 1.0 if each else 1.0,
        ),
        headroom=request.headroom,
        pause_s=request.pause_s,
        skew=None if skew is None else round(skew, 4),
        replicas=dict(counts),
        each=each,
        ratio_low=_ratio(low, [one.high for one in each]),
        ratio_high=_ratio(high, [one.low for one in each]),
    )


def _paused(search: Search, capacity: float | None, request: FleetRequest) -> float | None:
    """A capacity in users who pause; the time in the system is that at the nearest load."""
    if capacity is None or not request.pause_s:
        return capacity
    near = search.ladder.nearest(capacity)
    residence = None if near is None else near.observation.residence_s
    return with_pauses(capacity, residence, request.pause_s) if residence else None


def _ratio(whole: float | None, parts: Sequence[float | None]) -> float | None:
    """The capacity of a fleet as a share of that of its replicas together; None where one of them is not known."""
    known = [part for part in parts if part]
    return round(whole / sum(known), 4) if whole is not None and known and len(known) == len(parts) else None


def _queue(search: Search, request: FleetRequest) -> Queueing | None:
    """Erlang C against the first open loop whose wait for the first token is an objective."""
    alone = search.ladder.points[search.ladder.loads[0]][-1].observation if search.ladder.loads else None
    if request.slots is None or alone is None or alone.residence_s is None:
        return None
    for point in search.of(Purpose.RATE):
        figures = {figure.slo: figure for figure in point.observation.figures}
        for figure in alone.figures:
            slo = parse_slo(figure.slo)
            under_load = figures.get(figure.slo)
            if slo.metric == "ttft" and figure.value is not None and under_load is not None and under_load.total:
                return queueing(
                    request.slots,
                    point.load,
                    alone.residence_s,
                    (slo.limit - figure.value) / SECOND,
                    under_load.possible / under_load.total,
                )
    return None


def fleet_sentences(fleet: Fleet, axis: Axis) -> list[tuple[str, str]]:
    """The models and the plan in labelled lines; loads are those of the axis."""
    lines = [("scalability", _law_text(fleet.law, axis))]
    if fleet.queue is not None:
        queue = fleet.queue
        text = (
            f"at {show_digits(queue.rate)} streams/s and {plural(queue.slots, 'slot')}: {queue.predicted:.1%} too "
            f"late, measured {queue.measured:.1%}"
        )
        lines.append(("Erlang C", f"refused: {queue.refused} ({text})" if queue.refused else text))
    for one in fleet.each:
        lines.append((f"replica {one.url}", f"{_load(one.low)} to {_load(one.high)} {axis.value}"))
    if fleet.ratio_low is not None and fleet.ratio_high is not None:
        lines.append(("the fleet", f"holds {fleet.ratio_low:.0%} to {fleet.ratio_high:.0%} of its replicas together"))
    if fleet.skew is not None:
        shares = ", ".join(f"{name} {count:,}" for name, count in sorted(fleet.replicas.items()))
        lines.append(("skew", f"the busiest replica got {fleet.skew:.2f} times its fair share ({shares} streams)"))
    for only in list(fleet.replicas)[:1] if len(fleet.replicas) == 1 else []:
        lines.append(("skew", f"every stream was answered by {only}: one replica, or a balancer before several"))
    if fleet.needs is not None:
        lines.append(("replicas", _needs_text(fleet)))
    return lines


def _load(load: float | None) -> str:
    return "?" if load is None else f"{load:,.0f}"


def _law_text(law: Scalability, axis: Axis) -> str:
    if law.refused is not None:
        return f"no law fitted: {law.refused}"
    peak = "no peak" if law.peak is None else f"most streams/s at {axis.show(round(law.peak))}"
    error = "-" if law.error is None else f"{law.error:.1%}"
    formula = f"X(N) = {show_digits(law.rate)} N / (1 + {law.contention:.3g} (N - 1) + {law.coherency:.3g} N (N - 1))"
    return f"{peak}, by the law {formula}, which misses the points by {error}"


def _needs_text(fleet: Fleet) -> str:
    needs = fleet.needs
    assert needs is not None
    kind = f" who pause {fleet.pause_s:g} s" if fleet.pause_s else ""
    room = f", with {fleet.headroom:.0%} headroom" if fleet.headroom else ""
    return f"{needs.users:,} users{kind} need {needs.words}{room}"
