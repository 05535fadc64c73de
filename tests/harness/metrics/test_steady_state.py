"""A steady state is told from a queue that grows, a jump and a cold engine, and stationary loads raise no alarm."""

import heapq
import math
import random
from collections.abc import Callable, Sequence

import pytest

from streamgauge.metrics.concurrency import Stay
from streamgauge.metrics.slo import SloVerdict, parse_slo
from streamgauge.metrics.steady_state import LEAST_STREAMS, Flow, InFlight, Steadiness, SteadyState, steady_state
from streamgauge.metrics.summary import Totals, Window
from streamgauge.units import SECOND
from tests.builders.made import made
from tests.builders.tapes import MS, START_NS

RUNS = 200


def stay(start_s: float, ttft_s: float, rest_s: float = 1.0) -> Stay:
    begin = round(start_s * SECOND)
    return Stay(begin, begin + round((ttft_s + rest_s) * SECOND), round(ttft_s * SECOND))


def independent(draw: random.Random, streams: int = 300) -> list[Stay]:
    """TTFTs that know nothing of each other, with a heavy tail."""
    return [stay(draw.uniform(0, 30), 0.2 * math.exp(draw.gauss(0, 0.7))) for _ in range(streams)]


def queue(draw: random.Random, busy: float = 0.7, servers: int = 8, streams: int = 500) -> list[Stay]:
    """Poisson arrivals at a queue (M/M/c) that is empty at first. A service takes 1 s on average."""
    free, at, found = [0.0] * servers, 0.0, []
    for _ in range(streams):
        at += draw.expovariate(busy * servers)
        begun, service = max(heapq.heappop(free), at), draw.expovariate(1)
        heapq.heappush(free, begun + service)
        found.append(stay(at, begun - at + 0.1 * service, 0.9 * service))
    return found


def closed_loop(draw: random.Random, users: int = 20, servers: int = 8, streams: int = 400) -> list[Stay]:
    """Users that all begin at once and never pause, at a server with fewer slots."""
    ready, free, found = [(draw.random() / 100, user) for user in range(users)], [0.0] * servers, []
    heapq.heapify(ready)
    for _ in range(streams):
        at, user = heapq.heappop(ready)
        begun, service = max(heapq.heappop(free), at), draw.gammavariate(4, 0.25)
        heapq.heappush(free, begun + service)
        heapq.heappush(ready, (begun + service, user))
        found.append(stay(at, begun - at + 0.1 * service, 0.9 * service))
    return found


def jumping(draw: random.Random) -> list[Stay]:
    return [
        stay(at, 0.2 * draw.uniform(0.8, 1.2) * (1.5 if at > 17 else 1))
        for at in (draw.uniform(0, 30) for _ in range(400))
    ]


def cold(draw: random.Random, users: int = 10, turns: int = 20) -> list[Stay]:
    """Users without a pause, whose first streams wait four times as long for a token as all others."""
    found = []
    for _ in range(users):
        at = draw.random() / 10
        for turn in range(turns):
            found.append(stay(at, 0.2 * draw.uniform(0.8, 1.2) * (4 if turn == 0 else 1)))
            at = found[-1].closed_ns / SECOND
    return found


def judged(stays: Sequence[Stay]) -> SteadyState:
    begin, end = min(one.start_ns for one in stays), max(one.start_ns for one in stays) + 1
    flow = Flow(begin, end)
    for one in stays:
        flow.add(one)
    return steady_state(stays, begin, end, flow.levels)


@pytest.mark.parametrize("load", [independent, queue, closed_loop])
def test_a_stationary_load_raises_an_alarm_in_at_most_one_of_a_hundred_runs(
    load: Callable[[random.Random], list[Stay]],
) -> None:
    alarms = [found for seed in range(RUNS) if (found := judged(load(random.Random(seed)))).verdict != "steady"]
    assert len(alarms) <= RUNS // 100, [str(found) for found in alarms]


def test_a_queue_that_grows_is_no_steady_state() -> None:
    found = [judged(queue(random.Random(seed), busy=1.3, streams=800)) for seed in range(20)]

    assert {one.verdict for one in found} == {Steadiness.NOT_STEADY}
    assert all(one.growing for one in found)
    assert all(one.begin_s is None for one in found)
    ttft, flight, why = found[0].reasons
    assert ttft.startswith("the TTFT rose all the time, from ")
    assert flight.startswith("the number of streams in flight rose all the time, from ")
    assert why.startswith("more streams come than the endpoint serves")


def test_a_jump_of_the_ttft_is_named_with_its_time() -> None:
    found = [judged(jumping(random.Random(seed))) for seed in range(20)]

    assert {one.verdict for one in found} == {Steadiness.NOT_STEADY}
    assert all(abs((one.shift_s or 0) - 17) < 2 for one in found)
    assert "the TTFT went from 20" in found[0].reasons[0]
    assert found[0].growing


def test_a_jump_to_a_faster_level_does_not_make_figures_too_small() -> None:
    faster = [stay(at, 0.2 if at > 15 else 0.4) for at in (index / 20 for index in range(600))]
    found = judged(faster)
    assert (found.verdict, found.growing) == (Steadiness.NOT_STEADY, False)


def test_a_first_wave_that_is_slower_than_the_rest_is_a_cold_engine() -> None:
    found = [judged(cold(random.Random(seed))) for seed in range(20)]

    assert {one.verdict for one in found} == {Steadiness.COLD_ENGINE}
    assert all(1.5 < (one.begin_s or 0) < 2 for one in found)
    assert "--warmup leaves the first wave out" in found[0].reasons[0]


def test_with_a_warm_up_the_first_wave_is_not_in_the_figures() -> None:
    stays = cold(random.Random(1))
    begin, end = 3 * SECOND, 20 * SECOND
    assert steady_state(stays, begin, end) == SteadyState(verdict=Steadiness.STEADY, begin_s=0.0)


def test_few_streams_are_not_judged() -> None:
    found = judged(independent(random.Random(1), LEAST_STREAMS - 1))
    assert found.verdict is Steadiness.NOT_JUDGED
    assert "99 streams with a token, and 100 are needed to tell" in str(found)


def test_streams_in_flight_are_counted_within_the_window() -> None:
    flow = Flow(10 * SECOND, 20 * SECOND)
    for start_s, closed_s in ((5, 12), (12, 16), (14, 18), (18, 25), (30, 31)):
        flow.add(Stay(start_s * SECOND, closed_s * SECOND, None))

    assert flow.in_flight() == InFlight(mean=1.2, most=2, per_s=0.3, stay_s=5.0, little_residual=0.25)
    assert sum(flow.levels) / 20 == pytest.approx(1.2)
    assert Flow(0, SECOND).in_flight() is None


@pytest.mark.parametrize(("load", "holds"), [(closed_loop, True), (lambda draw: queue(draw, busy=1.5), False)])
def test_littles_law_holds_where_as_many_streams_come_as_go(
    load: Callable[[random.Random], list[Stay]], holds: bool
) -> None:
    stays = load(random.Random(2))
    flow = Flow(0, max(one.start_ns for one in stays))
    for one in stays:
        flow.add(one)
    found = flow.in_flight()
    assert found is not None
    assert (found.caveat is None) is holds
    if found.caveat is not None:
        assert found.caveat.startswith("Little's law does not hold within 5%: ")


def growing_run(*slos: str) -> Totals:
    """400 streams, each slower than the one before: from 100 ms to 500 ms."""
    totals = Totals(map(parse_slo, slos), window=Window(START_NS, START_NS + 40_000 * MS))
    for number in range(400):
        totals.add(made(100 + number, 1_000 + number, start_ms=100 * number))
    return totals


def test_an_objective_is_not_met_while_the_ttft_grows() -> None:
    summary = growing_run().summary()
    assert summary.steady_state is not None
    assert summary.steady_state.growing

    def verdict(text: str) -> tuple[SloVerdict, str | None]:
        totals = growing_run(text)
        found = totals.judge_slo(totals.slos[0], None, summary.steady_state)
        return found.verdict, found.reason

    met = verdict("ttft p95 < 1s")
    assert met[0] is SloVerdict.UNDECIDED
    assert (met[1] or "").startswith("no steady state: the TTFT rose all the time")
    assert verdict("ttft p95 < 150ms")[0] is SloVerdict.MISSED
    assert verdict("streams_per_s > 1")[0] is SloVerdict.MET


def test_a_plan_that_changes_the_load_is_not_judged() -> None:
    totals = growing_run()
    totals.changes = "the stages change the number of users"
    summary = totals.summary()
    assert summary.steady_state == SteadyState(
        verdict=Steadiness.NOT_JUDGED, reasons=["the stages change the number of users"]
    )
    assert summary.in_flight is not None
    assert summary.in_flight.mean == pytest.approx(12, rel=0.1)
