"""The rate axis against Erlang C: the largest rate of Poisson arrivals whose waits meet an objective."""

import heapq
import math
import os
from random import Random

import pytest

from streamgauge.capacity.answer import Ending, answer
from streamgauge.capacity.axis import Axis
from streamgauge.capacity.fleet import erlang_c
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.observe import observe
from streamgauge.capacity.point import Kind, Point, judge
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.capacity.stream import Fate
from streamgauge.units import MS, SECOND
from tests.harness.capacity.simulated import CONFIDENCE, Served, sample

RUNS = int(os.environ.get("STREAMGAUGE_CAPACITY_RUNS", "4"))  # a search of rates takes ten times as many streams
SLOTS, SERVICE_S, LIMIT_S, TOKENS = 4, 0.4, 0.5, 20
SLOS = objectives(["ttft p95 < 500ms"])


def late(rate: float) -> float:
    """The share of streams that wait longer than the limit, by Erlang C."""
    offered = rate * SERVICE_S
    if offered >= SLOTS:
        return 1.0
    return erlang_c(SLOTS, offered) * math.exp(-(SLOTS - offered) / SERVICE_S * LIMIT_S)


def truth() -> float:
    """The rate at which 5 % of the streams wait longer."""
    low, high = 0.1, SLOTS / SERVICE_S
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if late(middle) <= 0.05 else (low, middle)
    return low


def open_loop(rate: float, length_ns: int, rng: Random) -> list[Served]:
    """Poisson arrivals at slots with exponential lengths, served in their order; the end of the load cuts the rest."""
    free = [0] * SLOTS
    served, at = [], 0.0
    while (at := at + rng.expovariate(rate) * SECOND) < length_ns:
        asked = int(at)
        begin = max(asked, heapq.heappop(free))
        end = begin + int(rng.expovariate(1 / SERVICE_S) * SECOND)
        heapq.heappush(free, end)
        if end < length_ns:
            served.append(Served(asked, begin, end, Fate.OK, 0))
        else:
            served.append(Served(asked, begin if begin < length_ns else None, length_ns, Fate.CUT, 0))
    return served


def measure(probe: Probe, run: int) -> Point:
    rng = Random(f"{run}/{probe.seed}/{probe.load}/{probe.purpose}/{probe.seconds}")
    served = open_loop(probe.load, round((probe.warmup_s + probe.seconds) * SECOND), rng)
    return judge(probe, observe(probe, sample(probe, served, SLOS, TOKENS), SLOS, CONFIDENCE))


def searched(run: int) -> Search:
    search = Search(SearchPlan(axis=Axis.RATE, seed=run + 1, seconds=15, longest_s=60, from_above=False))
    while (probe := search.next) is not None:
        search.take(measure(probe, run))
        assert len(search.points) < 100, "a search ends"
    return search


@pytest.mark.timeout(120 + 10 * RUNS)
def test_the_interval_of_the_rate_contains_the_truth() -> None:
    found = [answer(searched(run)) for run in range(RUNS)]
    held = [one for one in found if one.low is not None and one.high is not None and one.low <= truth() < one.high]

    assert {one.ending for one in found} == {Ending.BRACKETED}
    assert len(held) >= min(0.95 * RUNS, RUNS - 1)


def test_a_rate_above_the_saturation_fails_by_its_waits_or_its_backlog() -> None:
    probe = Probe(axis=Axis.RATE, load=14, seconds=60, warmup_s=1, seed=1, purpose=Purpose.DOUBLE)

    assert measure(probe, 1).kind in (Kind.LATENCY, Kind.BACKLOG)
    # An objective that the waits have not reached yet: the backlog alone decides.
    patient = objectives(["ttft p95 < 10m"])
    served = open_loop(14, 61 * SECOND, Random(1))
    point = judge(probe, observe(probe, sample(probe, served, patient, TOKENS), patient, CONFIDENCE))
    assert point.kind is Kind.BACKLOG


def test_erlang_c_is_what_the_simulation_shows() -> None:
    served = open_loop(truth(), 5_000 * SECOND, Random(1))
    waits = [one.first - one.asked for one in served if one.first is not None]

    assert sum(wait > LIMIT_S * SECOND for wait in waits) / len(waits) == pytest.approx(0.05, abs=0.02)
    assert late(truth()) == pytest.approx(0.05, abs=1 / MS)
