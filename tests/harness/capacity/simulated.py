"""Endpoints in simulated time whose capacity is a closed form: those of mock_provider/capacity.py, with random lengths.

A closed loop without pauses: each user has one stream at any time. Above `slots` streams the others wait, and a stream
gets a slot after `n - slots` others have ended. With exponential lengths of mean S these ends are a Poisson process of
rate slots / S, so the wait is Erlang distributed: its mean is the `ttft(n)` of the mock, and its percentiles are known.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from streamgauge.capacity.budget import Budget, affordable
from streamgauge.capacity.objective import Objective
from streamgauge.capacity.observe import Sample, observe
from streamgauge.capacity.point import Point, judge
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.capacity.stream import Fate, Stream, Value
from streamgauge.mock_provider.capacity import Limits, Work, service_ns
from streamgauge.units import MS, SECOND

CONFIDENCE = 0.95
RETRY_NS = 500 * MS  # a user that is refused waits so long before it asks again


class Served(NamedTuple):
    """A stream of a simulated endpoint, in ns: when it was asked for, its first token and its end."""

    asked: int
    first: int | None
    end: int
    fate: Fate
    replica: int


@dataclass(frozen=True, kw_only=True)
class System:
    """Replicas behind one address, with the limits of each. User i always goes to the same replica, so that each has
    its share of the users (`weights`), as exactly as whole users can be shared out.

    `exponential`: the lengths of streams are exponential, else that of the closed form times a lognormal factor.
    """

    limits: Limits
    work: Work
    weights: tuple[float, ...] = (1.0,)
    exponential: bool = False
    sigma: float = 0.1

    def homes(self, users: int) -> list[int]:
        """The replica of each user."""
        counts, homes = [0] * len(self.weights), []
        for number in range(1, users + 1):
            home = max(range(len(counts)), key=lambda replica: self.weights[replica] * number - counts[replica])
            counts[home] += 1
            homes.append(home)
        return homes


def closed_loop(system: System, users: int, length_ns: int, rng: Random) -> list[Served]:
    """The streams of a load, ordered by start. A stream that still runs when the load ends is marked as cut."""
    slots, room = system.limits.slots or users, system.limits.queue
    home = system.homes(users)
    active, waiting = [0] * len(system.weights), [deque[tuple[int, int]]() for _ in system.weights]
    work, served = system.work, list[Served]()
    held_ns = [0, *(service_ns(system.limits, work, n) for n in range(1, min(slots, users) + 1))]
    running = dict[int, tuple[int, int]]()
    events = [(int(rng.random() * SECOND), user, False) for user in range(users)]
    heapq.heapify(events)

    def serve(at: int, user: int, asked: int) -> None:
        replica = home[user]
        active[replica] += 1
        mean, first = held_ns[active[replica]], work.ttft_ns
        if system.exponential:
            rest = rng.expovariate(1 / (mean - first))
        else:
            factor = rng.lognormvariate(0, system.sigma)
            first, rest = int(first * factor), (mean - first) * factor
        running[user] = asked, at + first
        heapq.heappush(events, (at + first + int(rest), user, True))

    while events:
        at, user, ends = heapq.heappop(events)
        if at >= length_ns:
            break
        replica = home[user]
        if ends:
            asked, first = running.pop(user)
            served.append(Served(asked, first, at, Fate.OK, replica))
            active[replica] -= 1
            if waiting[replica]:
                asked, other = waiting[replica].popleft()
                serve(at, other, asked)
        if active[replica] < slots:
            serve(at, user, at)
        elif room is None or len(waiting[replica]) < room:
            waiting[replica].append((at, user))
        else:
            served.append(Served(at, None, at, Fate.REFUSED, replica))
            heapq.heappush(events, (at + RETRY_NS, user, False))
    for user, (asked, first) in running.items():
        served.append(Served(asked, first if first < length_ns else None, length_ns, Fate.CUT, home[user]))
    served += [Served(asked, None, length_ns, Fate.CUT, home[user]) for queue in waiting for asked, user in queue]
    return sorted(served)


def sample(probe: Probe, served: Sequence[Served], objectives: Sequence[Objective], tokens: int) -> Sample:
    """What a search sees of these streams."""
    limits = [(objective.metric, objective.condition.limit) for objective in objectives]

    def values(stream: Served) -> tuple[Value | None, ...]:
        return tuple(_value(stream, metric, limit, tokens) for metric, limit in limits)

    return Sample(
        [
            Stream(one.asked / SECOND, one.end / SECOND, one.fate, values(one), tokens, 0, str(one.replica))
            for one in served
        ],
        probe.warmup_s,
        probe.warmup_s + probe.seconds,
        [None if one.first is None else (one.first - one.asked) / SECOND for one in served],
    )


def _value(stream: Served, metric: str, limit: float, tokens: int) -> Value | None:
    if metric == "ttft":
        if stream.first is None:
            waited = stream.end - stream.asked
            return Value(waited, 1, 1) if stream.fate is Fate.CUT and waited >= limit else None
        measured: float = stream.first - stream.asked
    elif metric == "tpot" and stream.first is not None and stream.fate is Fate.OK:
        measured = (stream.end - stream.first) / (tokens - 1)
    else:
        return None
    missed = int(measured >= limit)
    return Value(measured, missed, missed)


Client = Callable[[Probe], dict[str, Any]]


def able(_: Probe) -> dict[str, Any]:
    """A client that is never the limit."""
    return {}


def measure(system: System, probe: Probe, objectives: Sequence[Objective], run: int, client: Client = able) -> Point:
    """The point of a probe on a simulated endpoint. Each trial of a load, and each run, has its own random numbers."""
    rng = Random(f"{run}/{probe.seed}/{probe.load}/{probe.purpose}/{probe.seconds}")
    length_ns = round((probe.warmup_s + probe.seconds) * SECOND)
    served = closed_loop(system, int(probe.load), length_ns, rng)
    seen = observe(
        probe, sample(probe, served, objectives, system.work.tokens), objectives, CONFIDENCE, **client(probe)
    )
    return judge(probe, seen)


UNLIMITED = Budget(seconds=1e9)


def searched(
    system: System,
    objectives: Sequence[Objective],
    run: int,
    plan: SearchPlan,
    client: Client = able,
    budget: Budget = UNLIMITED,
) -> Search:
    """A whole search on a simulated endpoint, as far as its budget allows it."""
    search = Search(plan)
    while (probe := affordable(search, budget)) is not None:
        search.take(measure(system, probe, objectives, run, client))
        assert len(search.points) < 200, "a search ends"
    return search
