"""What a search can take, before it has asked for anything."""

import pytest

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.budget import Budget, Price
from streamgauge.capacity.preview import Row, Sizes, assumption, plan_lines, preview
from streamgauge.capacity.search import SearchPlan
from tests.harness.capacity.points import holds, loads, run

PLENTY = Budget(seconds=1e6)
SIZES = Sizes(prompt=480, output=125)  # 3 s a stream


def rows(budget: Budget = PLENTY, sizes: Sizes = SIZES, **plan: object) -> list[Row]:
    return preview(SearchPlan(**plan), budget, sizes)  # type: ignore[arg-type]


def test_the_larger_the_capacity_the_more_a_search_takes_and_the_last_row_takes_most() -> None:
    found = rows(most=1_000)

    assert [row.capacity for row in found] == [8, 64, 512, 900]
    requests = [row.used.requests for row in found]
    assert requests == sorted(requests)
    assert all(row.used.prompt_tokens == pytest.approx(480 * row.used.requests, rel=0.01) for row in found)
    assert all(row.used.output_tokens == pytest.approx(125 * row.used.requests, rel=0.01) for row in found)
    assert [row.ended for row in found] == [None] * 4


def test_the_points_are_those_that_the_search_itself_asks_for() -> None:
    """Without undecided loads: as many points as the same search on an endpoint that decides each at once."""
    plan = {"needed": 0, "seconds": 10.0, "longest_s": 10.0, "from_above": False, "confirm_rate": False}
    (first, *_) = rows(**plan)

    assert first.points == len(loads(run(holds(8), **plan)))


def test_a_rate_has_its_requests_whatever_a_stream_takes() -> None:
    slow, quick = (rows(axis=Axis.RATE, most=8.0, sizes=Sizes(output=tokens))[-1] for tokens in (5_000, 10))
    assert slow.used.requests >= quick.used.requests > 0  # a longer warm-up asks for a little more


def test_a_limit_ends_the_search_in_the_preview_as_it_will() -> None:
    (row, *_) = rows(Budget(seconds=1e6, requests=200))

    assert row.used.requests <= 200
    assert "--max-requests 200" in (row.ended or "")
    cost = rows(Budget(seconds=1e6, cost=0.05, price=Price(0.15, 0.60)))
    assert all("--max-cost 0.05" in (row.ended or "") for row in cost)
    assert all(row.used.seconds <= 120 for row in rows(Budget(seconds=120)))


def test_one_load_alone_is_one_row() -> None:
    (row,) = rows(only=50.0)
    assert (row.capacity, row.points) == (50, 3)
    assert plan_lines(SearchPlan(only=50.0), PLENTY, SIZES)[0] == ("loads", "only 50 users")


def test_the_plan_says_what_a_search_does_at_most() -> None:
    budget = Budget(seconds=1800, requests=500, tokens=10**6, cost=2.5, price=Price(1, 2))
    lines = dict(plan_lines(SearchPlan(most=64, sustain_s=60), budget, SIZES))

    assert lines["loads"] == "from 1 user, doubled up to 64 users"
    assert lines["points"].startswith("up to 7 to find the first failure, about 5 to come within 5%, 2 to repeat")
    assert lines["streams"].startswith("59 without a miss decide every objective")
    assert lines["time"] == "at most 30 min (--budget)"
    assert lines["limits"].startswith("at most 500 requests, 1,000,000 tokens, a cost of 2.5")


def test_what_is_assumed_is_said() -> None:
    assert assumption(SIZES).startswith("assumed: a stream of 125 tokens for a prompt of 480 tokens")
    assert "takes 3.0 s (50 tokens/s)" in assumption(SIZES)
    assert "250 tokens (--output-tokens is not given)" in assumption(Sizes())
    lines = dict(plan_lines(SearchPlan(), Budget(seconds=600, tokens=5_000), Sizes(understood="3 sessions")))
    assert (lines["time"], lines["trace"]) == ("at most 10 min (--budget)", "3 sessions")
    assert "at most 5,000 tokens" in lines["limits"]
    for seconds, shown in ((10, "10 s"), (150, "2.5 min"), (604_800, "10,080 min")):
        assert dict(plan_lines(SearchPlan(), Budget(seconds=seconds), SIZES))["time"] == f"at most {shown} (--budget)"


def test_answers_of_an_assumed_length_are_paid_for() -> None:
    budget = Budget(seconds=1e6, cost=0.05, price=Price(0.15, 0.60))
    assert rows(budget, Sizes(prompt=480)) == rows(budget, Sizes(prompt=480, output=250))
    assert "--max-cost 0.05" in (rows(budget, Sizes(prompt=480))[0].ended or "")
