"""A replica: who gets a slot, who is refused, and what the counts say."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.fleet.replica import Replica, Seat

MS = 1_000_000
SECOND = 1_000 * MS


@given(st.integers(1, 4), st.lists(st.integers(0, 20), max_size=60))
def test_slots_are_given_first_come_first_served_and_none_is_lost(slots: int, steps: list[int]) -> None:
    """Against a model of two lists: each step is an arrival (0) or the leaving of someone."""
    replica = Replica(Limits(slots=slots), lambda: 0)
    granted: list[int] = []
    seats, holding, waiting = [], list[int](), deque[int]()
    for step in steps:
        if step == 0 or not seats:
            number = len(seats)
            seats.append(replica.enter(lambda number=number: granted.append(number)))
            (holding if len(holding) < slots else waiting).append(number)
        else:
            leaver = step % len(seats)
            replica.leave(seats[leaver])
            if leaver in holding:
                holding.remove(leaver)
                if waiting:
                    holding.append(waiting.popleft())
                    assert granted[-1] == holding[-1]
            elif leaver in waiting:
                waiting.remove(leaver)
        assert replica.active == len(holding)
        assert [seats[number].taken for number in holding] == [True] * len(holding)


def test_a_slot_knows_since_when_it_has_been_free() -> None:
    """One that was never taken has always been; of the others the one that was left first is taken first."""
    now_ns = 0
    replica = Replica(Limits(slots=2), lambda: now_ns)

    def enter() -> Seat:
        return replica.enter(lambda: None)

    first, second, third = enter(), enter(), enter()
    assert (first.free_ns, second.free_ns) == (0, 0)
    now_ns = 10
    replica.leave(first)  # goes on to the third, which has waited
    now_ns = 20
    replica.leave(second)
    now_ns = 30
    replica.leave(third)
    now_ns = 40
    replica.leave(third)
    assert [enter().free_ns, enter().free_ns] == [20, 30]


def test_slots_have_numbers_and_the_smallest_free_one_is_used_again() -> None:
    replica = Replica(Limits(slots=3), lambda: 0)
    seats = [replica.enter(lambda: None) for _ in range(3)]
    assert [seat.slot for seat in seats] == [0, 1, 2]
    replica.leave(seats[2])
    replica.leave(seats[0])
    assert [replica.enter(lambda: None).slot for _ in range(2)] == [0, 2]


def test_every_admitted_stream_is_counted_once() -> None:
    now_ns = 0
    replica = Replica(Limits(slots=1, queue=2), lambda: now_ns)
    first, second, third = (replica.enter(lambda: None) for _ in range(3))
    assert replica.full
    replica.give_up(third)
    now_ns = 2 * SECOND
    replica.leave(first)
    replica.leave(first)
    replica.leave(second, completed=False)
    counts = replica.counts
    assert (counts.streams, counts.completed, counts.aborted, counts.timed_out) == (3, 1, 1, 1)
    assert not replica.full


def test_the_time_in_the_queue_is_counted_when_the_stream_is_complete() -> None:
    now_ns = 0
    replica = Replica(Limits(slots=1), lambda: now_ns)
    seats = [replica.enter(lambda: None) for _ in range(3)]
    for now_ns, seat in zip((2 * SECOND, 70 * SECOND, 71 * SECOND), seats, strict=True):  # noqa: B007
        assert replica.first_ns(seat, 100 * MS) == 100 * MS
        replica.leave(seat)
    times = dict(replica.queue_time.cumulated())
    assert (times["0.3"], times["1.5"], times["2.0"], times["60.0"], times["+Inf"]) == (1, 1, 2, 2, 3)
    assert (replica.queue_time.sum_ns, replica.queue_time.count) == (72 * SECOND, 3)
    assert (replica.prefill.sum_ns, replica.prefill.count) == (300 * MS, 3)


def test_a_client_that_leaves_the_queue_is_counted_as_aborted() -> None:
    replica = Replica(Limits(slots=1), lambda: 0)
    replica.enter(lambda: None)
    replica.leave(replica.enter(lambda: None), completed=False)
    assert (replica.counts.aborted, replica.connections) == (1, 1)


def test_more_slots_are_given_to_the_queue_at_once() -> None:
    replica = Replica(Limits(slots=1), lambda: 0)
    granted: list[int] = []
    for number in range(4):
        replica.enter(lambda number=number: granted.append(number))
    replica.configure(Limits(slots=3))
    assert granted == [1, 2]
    assert (replica.active, len(replica.waiting)) == (3, 1)


@pytest.mark.parametrize(("order", "expected"), [("fifo", [1, 2, 3]), ("lifo", [3, 2, 1]), ("shortest", [2, 3, 1])])
def test_the_order_of_the_queue(order: str, expected: list[int]) -> None:
    replica = Replica(Limits(slots=1, queue_order=order), lambda: 0)
    granted: list[int] = []
    seats = [replica.enter(lambda number=number: granted.append(number), tokens)
             for number, tokens in enumerate((1, None, 3, 5))]  # fmt: skip
    replica.leave(seats[0])
    for number in expected[:-1]:
        replica.leave(seats[number])
    assert granted == expected
