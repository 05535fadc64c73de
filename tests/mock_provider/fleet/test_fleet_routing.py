"""Which replica gets a request."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.fleet.fleet import Fleet
from streamgauge.mock_provider.fleet.limits import FleetLimits, Routing


def fleet(routing: Routing, *weights: float, limits: Limits | None = None) -> Fleet:
    replicas = (limits or Limits(),) * len(weights)
    return Fleet(FleetLimits(replicas=replicas, weights=weights, routing=routing), lambda: 0)


def routed(fleet: Fleet, requests: int) -> list[int]:
    return [fleet.route(ordinal).number for ordinal in range(requests)]


def test_round_robin_goes_in_turn() -> None:
    assert routed(fleet("round-robin", 1, 1, 1), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_weighted_round_robin_spreads_the_requests_of_the_heaviest() -> None:
    assert routed(fleet("round-robin", 3, 1), 8) == [0, 0, 1, 0, 0, 0, 1, 0]


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 1.0, 2.0, 5.0]), min_size=2, max_size=5))
def test_weighted_round_robin_is_never_a_request_off_by_more_than_the_replicas(weights: list[float]) -> None:
    counts = Counter(routed(fleet("round-robin", *weights), 100))
    for number, weight in enumerate(weights):
        assert abs(counts[number] - 100 * weight / sum(weights)) < len(weights)


def test_random_routing_keeps_the_weights_and_repeats_with_its_seed() -> None:
    chosen = routed(fleet("random", 3, 1), 4_000)
    assert Counter(chosen)[0] / 4_000 == pytest.approx(0.75, abs=0.03)
    assert chosen == routed(fleet("random", 3, 1), 4_000)


def test_least_connections_chooses_the_emptiest_and_of_equal_ones_the_least_used() -> None:
    busy = fleet("least-connections", 1, 1, 1)
    assert routed(busy, 3) == [0, 1, 2]
    seat = busy.replicas[0].enter(lambda: None)
    assert routed(busy, 4) == [1, 2, 1, 2]
    busy.replicas[0].leave(seat)
    assert routed(busy, 1) == [0]


def test_a_key_sticks_to_its_replica_and_requests_without_one_go_in_turn() -> None:
    sticky = fleet("sticky", 1, 1, 1)
    chosen = {key: sticky.route(0, key).number for key in map(str, range(30))}
    assert chosen == {key: sticky.route(9, key).number for key in chosen}
    assert set(chosen.values()) == {0, 1, 2}
    assert routed(sticky, 4) == [0, 1, 2, 0]


def test_a_replica_that_is_added_is_used_and_a_removed_one_finishes_its_streams() -> None:
    one = Limits(slots=1)
    changing = fleet("round-robin", 1, limits=one)
    replica = changing.replicas[0]
    first, second = replica.enter(lambda: None), replica.enter(lambda: None)
    changing.configure(FleetLimits(replicas=(one, one), weights=(1, 1)))
    assert routed(changing, 2) == [0, 1]
    assert changing.replicas[0] is replica
    changing.configure(FleetLimits(replicas=(one,), weights=(1,)))
    replica.leave(first)
    assert second.taken


def test_a_request_is_refused_by_the_gateway_or_by_its_replica() -> None:
    limits = FleetLimits(replicas=(Limits(slots=1, queue=0), Limits(slots=9)), weights=(1, 1), admit=3)
    gateway = Fleet(limits, lambda: 0)
    first, second = gateway.replicas
    assert gateway.refuses(first) is None
    first.enter(lambda: None)
    assert gateway.refuses(first) == "replica"
    second.enter(lambda: None)
    assert gateway.refuses(second) is None
    second.enter(lambda: None)
    assert gateway.refuses(second) == "gateway"
    assert (gateway.refused, first.counts.refused, second.counts.refused) == (1, 1, 0)
