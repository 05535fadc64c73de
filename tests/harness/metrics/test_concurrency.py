"""Whether an endpoint serves one stream at a time: found in simulated servers that do, in none of those that do not."""

import heapq
import random
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from streamgauge.metrics.concurrency import Interval, Intervals, most_open, one_at_a_time
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND
from tests.builders.made import made
from tests.builders.tapes import START_NS

Draw = Callable[[random.Random], float]


def constant(ms: float) -> Draw:
    return lambda _: ms * MS


def spread(ms: float) -> Draw:
    return lambda rng: rng.uniform(0.5, 1.5) * ms * MS


def simulated(
    *,
    capacity: int,
    ttft: Draw,
    rest: Draw,
    users: int = 10,
    length_s: float = 15,
    think_s: float = 0,
) -> list[Interval]:
    """Users who ask again when they are answered, before a server that serves `capacity` streams at once.

    A stream takes its `ttft` and its `rest` from the moment when the server begins to serve it.
    """
    rng = random.Random(1)
    free = [0.0] * capacity
    heapq.heapify(free)
    waiting = [rng.uniform(0, SECOND) for _ in range(users)]
    found = []
    while True:
        at = heapq.heappop(free)
        start = min(waiting)
        waiting.remove(start)
        first = max(start, at) + ttft(rng)
        last = first + rest(rng)
        if last > length_s * SECOND:
            return found
        found.append(Interval(start, first, last))
        heapq.heappush(free, last)
        waiting.append(last + rng.uniform(0, 2 * think_s) * SECOND)


SERIAL = partial(simulated, capacity=1)


@pytest.mark.parametrize(
    "server",
    [
        partial(SERIAL, ttft=constant(100), rest=constant(300)),
        partial(SERIAL, ttft=spread(100), rest=spread(300)),
        partial(SERIAL, ttft=constant(100), rest=spread(1_000), users=3),
        partial(SERIAL, ttft=spread(400), rest=spread(200), length_s=60),
        partial(SERIAL, ttft=constant(2), rest=constant(200)),
        partial(SERIAL, ttft=constant(100), rest=constant(300), think_s=0.5),
        partial(SERIAL, ttft=constant(400), rest=constant(800), users=2),
    ],
)
def test_a_server_that_serves_one_at_a_time_is_found(server: Callable[[], list[Interval]]) -> None:
    found = one_at_a_time(server())
    assert found is not None
    assert found.overlapping == 0
    assert found.ttft_ms > found.fastest_ttft_ms


@pytest.mark.parametrize(
    "server",
    [
        partial(simulated, capacity=2, ttft=constant(100), rest=constant(300)),
        partial(simulated, capacity=2, ttft=spread(100), rest=spread(300), users=50),
        partial(simulated, capacity=4, ttft=constant(500), rest=constant(100)),
        partial(simulated, capacity=10, ttft=constant(3_000), rest=constant(0)),  # slow, and in one burst
        partial(simulated, capacity=10, ttft=spread(3_000), rest=constant(1)),
        partial(simulated, capacity=2, ttft=constant(3_000), rest=constant(0), users=2),
        partial(simulated, capacity=100, ttft=constant(200), rest=constant(2_000)),  # merely slow
        partial(simulated, capacity=100, ttft=spread(200), rest=spread(2_000)),
        partial(SERIAL, ttft=constant(100), rest=constant(300), users=1),  # nobody waits
        partial(SERIAL, ttft=constant(100), rest=constant(100), users=2, think_s=5),  # hardly anybody waits
        partial(SERIAL, ttft=constant(1), rest=constant(1)),  # too short to tell: any server does this
        partial(SERIAL, ttft=constant(1_000), rest=constant(0)),  # bursts, too
        partial(simulated, capacity=2, ttft=constant(144), rest=constant(100), users=3),
        partial(simulated, capacity=2, ttft=constant(100), rest=constant(100), users=2),  # in exact alternation
        partial(simulated, capacity=2, ttft=spread(49), rest=constant(1), users=3),
        partial(simulated, capacity=2, ttft=spread(800), rest=constant(120), users=30),
        partial(simulated, capacity=20, ttft=spread(340), rest=constant(2), think_s=0.2),
        partial(SERIAL, ttft=constant(1_000), rest=constant(2_000)),  # too few streams to tell
    ],
)
def test_no_other_server_is_accused(server: Callable[[], list[Interval]]) -> None:
    assert one_at_a_time(server()) is None


def test_arrivals_at_a_constant_rate_that_never_overlap_are_no_queue() -> None:
    """A TTFT of 1 s, a burst of 50 ms, an arrival every 770 ms: no bursts overlap, and yet no stream waits."""
    starts = [number * 770 * MS for number in range(30)]
    assert one_at_a_time(Interval(at, at + 1_000 * MS, at + 1_050 * MS) for at in starts) is None


def test_a_limit_on_the_rate_is_no_queue() -> None:
    """The endpoint admits a stream every 2 s, and serves it in 400 ms: it is idle most of the time."""
    admitted = [number * 2 * SECOND for number in range(30)]
    streams = [Interval(max(at - 18 * SECOND, 0), at + 100 * MS, at + 400 * MS) for at in admitted]
    assert one_at_a_time(streams) is None


def test_the_finding_says_what_was_measured() -> None:
    streams = [Interval(0, (100 + 400 * place) * MS, (400 + 400 * place) * MS) for place in range(10)]
    found = one_at_a_time(streams, alone_ttft_ns=95 * MS)
    assert found is not None
    assert (found.behind, found.overlapping, found.alone_ttft_ms, found.ttft_ms) == (9, 0, 95, 2_100)
    assert found.in_front == 5, "1 to 9"
    assert "took 95.0 ms alone and 2100 ms (p50) behind 5.0 others" in found.says
    assert "serves one stream at a time" in found.says


def test_a_first_request_to_a_cold_server_hides_nothing() -> None:
    found = one_at_a_time(SERIAL(ttft=constant(100), rest=constant(300)), alone_ttft_ns=30 * SECOND)
    assert found is not None
    assert found.alone_ttft_ms is None, "it was not faster alone"
    assert "100 ms at best" in found.says


def test_the_most_streams_at_once_are_counted() -> None:
    assert most_open([]) == 0
    assert most_open([(0, 10), (10, 20), (20, 30)]) == 1, "one begins as the other ends"
    assert most_open([(0, 10), (5, 15), (9, 20), (12, 13)]) == 3
    assert most_open([(5, 5)]) == 1


def late(start_ms: float, wanted_ms: float, closed_ms: float, worker: int = 1) -> StreamRecord:
    record = made(1, start_ms=start_ms, closed_ms=closed_ms - start_ms)
    intended_ns = record.start_ns - round((start_ms - wanted_ms) * MS)
    return msgspec.structs.replace(record, intended_ns=intended_ns, worker=worker)


def test_a_late_stream_was_held_back_when_its_process_had_no_room() -> None:
    intervals = Intervals()
    for record in (late(0, 0, 100), late(0, 0, 300), late(100, 50, 200), late(400, 350, 500), late(60, 60, 70, 2)):
        intervals.add(record)
    assert intervals.most_open == 3
    assert intervals.held_back(10 * MS, 2) == 1, "the stream at 350 ms was late with room for it"
    assert intervals.held_back(10 * MS, 3) == 0
    assert intervals.held_back(60 * MS, 2) == 0


def test_first_tokens_are_counted_where_they_arrive() -> None:
    intervals = Intervals()
    for record in (made(500, 900, start_ms=0), made(500, start_ms=1_000), made(500, start_ms=1_900), made()):
        intervals.add(record)
    assert intervals.first_tokens_per_s(START_NS, START_NS + 2 * SECOND) == 1
    assert intervals.first_tokens_per_s(START_NS + SECOND, START_NS + 3 * SECOND) == 1
    assert intervals.first_tokens_per_s(START_NS, START_NS) is None
