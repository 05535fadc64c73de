"""The memory budget: each response has its share, and all together one pool."""

import pytest

from streamgauge.errors import OutOfMeans
from streamgauge.transport.memory import (
    KEPT_SHARE_BYTES,
    LOAD_POOL_BYTES,
    MOST_OVER,
    SHARE_BYTES,
    UNREAD_BYTES,
    Holding,
    MemoryBudget,
)
from streamgauge.units import MIB

POOL = 10 * MIB


def flooding(budget: MemoryBudget, count: int) -> tuple[list[Holding], int]:
    """Let so many responses grow in turn until each has been refused; the bytes that they took in all."""
    holdings = [budget.claim(kept=False) for _ in range(count)]
    growing, taken = set(range(count)), 0
    while growing:
        for number in list(growing):
            try:
                holdings[number].grow(MIB // 4)
            except OutOfMeans:
                growing.remove(number)
            taken += MIB // 4
    return holdings, taken


def test_a_share_costs_the_pool_nothing() -> None:
    budget = MemoryBudget(POOL)

    holdings = [budget.claim(kept=False) for _ in range(1_000)]
    for holding in holdings:
        holding.grow(SHARE_BYTES)

    assert budget.drawn == 0


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_all_responses_together_stay_within_their_shares_and_the_pool(count: int) -> None:
    _, taken = flooding(MemoryBudget(POOL), count)

    assert taken <= count * (SHARE_BYTES + MIB // 4) + POOL * 1.3


def test_one_that_floods_does_not_end_those_that_need_little() -> None:
    budget = MemoryBudget(POOL)
    flood, others = budget.claim(kept=False), [budget.claim(kept=False) for _ in range(4)]
    for other in others:
        other.grow(SHARE_BYTES)

    flood.grow(SHARE_BYTES + POOL)
    with pytest.raises(OutOfMeans, match=r"all long answers together take more than 10\.0 MiB"):
        flood.grow(MIB)

    for other in others:
        other.grow(MIB // 8)


def test_a_response_that_is_gone_gives_its_memory_back() -> None:
    budget = MemoryBudget(POOL)
    holdings, _ = flooding(budget, 3)
    assert budget.drawn > POOL

    holdings.clear()

    assert budget.drawn == 0
    budget.claim(kept=False).grow(SHARE_BYTES + POOL // 2)


def test_transcripts_that_are_kept_have_a_smaller_share() -> None:
    budget = MemoryBudget(POOL)

    budget.claim(kept=True).grow(SHARE_BYTES)

    assert budget.drawn == 0  # given back at once
    kept = budget.claim(kept=True)
    kept.grow(SHARE_BYTES)
    assert budget.drawn == SHARE_BYTES - KEPT_SHARE_BYTES


def test_ten_users_on_endless_answers_leave_room_below_300_mb() -> None:
    """`load` takes 125 MB while it reads; one answer is in memory once more while it is interpreted."""
    streams = 10 * (SHARE_BYTES + UNREAD_BYTES) + MOST_OVER * LOAD_POOL_BYTES
    largest = SHARE_BYTES + LOAD_POOL_BYTES

    assert 125_000_000 + streams + largest < 300_000_000
