"""The closed forms of the fleet against its replicas in simulated time."""

from collections import Counter
from dataclasses import replace
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.mock_provider.capacity import Limits, Work, first_ns, saturation_per_s, service_ns
from streamgauge.mock_provider.fleet import forms
from streamgauge.mock_provider.fleet.limits import FleetLimits, Routing
from streamgauge.mock_provider.fleet.simulation import Served, Simulation

MS = 1_000_000
SECOND = 1_000 * MS
WORK = Work(prompt_tokens=0, tokens=10, ttft_ns=20 * MS, itl_ns=8 * MS)  # S = 100 ms
LIMITS = Limits(slots=4)


def fleet(*speeds: float, limits: Limits = LIMITS, routing: Routing = "least-connections", admit: int | None = None):
    replicas = tuple(replace(limits, speed=speed) for speed in speeds or (1.0,))
    return FleetLimits(replicas=replicas, weights=(1.0,) * len(replicas), routing=routing, admit=admit)


def closed(limits: FleetLimits, users: int, seconds: float = 20.0, work: Work = WORK) -> list[Served]:
    """The requests of `users`, without those that began in the first half, before the steady state."""
    simulation = Simulation(limits, work)
    simulation.users(users, round(seconds * SECOND))
    return [served for served in simulation.run() if served.arrival_ns >= seconds * SECOND / 2]


def completed_per_s(limits: FleetLimits, users: int, seconds: float = 20.0, work: Work = WORK) -> float:
    simulation = Simulation(limits, work)
    simulation.users(users, round(seconds * SECOND))
    half, whole = seconds * SECOND / 2, seconds * SECOND
    return sum(one.status == 200 and half < one.end_ns <= whole for one in simulation.run()) / (seconds / 2)


def mean_ttft_ns(served: list[Served]) -> float:
    return mean(one.ttft_ns for one in served if one.ttft_ns is not None)


def waits(served: list[Served]) -> int:
    return sum(one.wait_ns != 0 for one in served)


@pytest.mark.parametrize("speeds", [(1.0,), (1.0, 1.0), (1.0, 0.5), (2.0, 1.0, 0.25)])
def test_least_connections_keep_every_slot_busy_also_of_a_slow_replica(speeds: tuple[float, ...]) -> None:
    limits = fleet(*speeds)
    users = 3 * forms.users_without_waiting(limits)
    assert completed_per_s(limits, users) == pytest.approx(forms.fleet_saturation_per_s(limits, WORK), rel=0.02)


@pytest.mark.parametrize("routing", ["round-robin", "random"])
def test_with_other_routings_the_slowest_replica_limits_the_fleet(routing: Routing) -> None:
    limits = fleet(1.0, 0.5, routing=routing)
    assert completed_per_s(limits, 60, 60.0) == pytest.approx(forms.fleet_saturation_per_s(limits, WORK), rel=0.03)
    assert forms.fleet_saturation_per_s(limits, WORK) == pytest.approx(2 * saturation_per_s(LIMITS, WORK) / 2)


def test_uneven_weights_limit_the_fleet_by_the_busiest_replica() -> None:
    limits = replace(fleet(1.0, 1.0, routing="round-robin"), weights=(3.0, 1.0))
    served = closed(limits, 60, 60.0)
    assert completed_per_s(limits, 60, 60.0) == pytest.approx(forms.fleet_saturation_per_s(limits, WORK), rel=0.03)
    shares = Counter(one.replica for one in served)
    assert shares[0] / shares[1] == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize(
    ("speeds", "routing"), [((1.0, 1.0, 1.0), "round-robin"), ((1.0, 0.5, 2.0), "least-connections")]
)
def test_users_up_to_the_number_of_slots_never_wait_and_one_more_makes_somebody_wait(
    speeds: tuple[float, ...], routing: Routing
) -> None:
    limits = fleet(*speeds, routing=routing)
    most = forms.users_without_waiting(limits)
    assert most == 12
    assert waits(closed(limits, most)) == 0
    assert waits(closed(limits, most + 1)) > 0


def test_users_of_sticky_or_random_routing_have_no_exact_number() -> None:
    for routing in ("sticky", "random"):
        with pytest.raises(ValueError, match="expected least-connections"):
            forms.users_without_waiting(fleet(1.0, 1.0, routing=routing))


@pytest.mark.parametrize("users", [8, 9, 12, 20])
@pytest.mark.parametrize("speeds", [(1.0, 1.0), (1.0, 0.5)])
def test_the_mean_ttft_of_balanced_replicas(speeds: tuple[float, ...], users: int) -> None:
    limits = fleet(*speeds)
    if users <= 8 and not limits.even:
        with pytest.raises(ValueError, match="idle slots differ"):
            forms.fleet_ttft_ns(limits, WORK, users)
        return
    served = closed(limits, users, 60.0)
    assert mean_ttft_ns(served) == pytest.approx(forms.fleet_ttft_ns(limits, WORK, users), rel=0.03)


@pytest.mark.parametrize(
    ("speeds", "weights", "most"),
    [((1.0, 0.5), (1, 1), 6), ((2.0, 1.0, 0.5), (1, 1, 1), 7), ((1.0, 1.0), (3, 1), 5), ((1.0, 0.5), (3, 1), 6)],
)
def test_round_robin_over_unequal_replicas_in_the_steady_state(
    speeds: tuple[float, ...], weights: tuple[float, ...], most: int
) -> None:
    limits = replace(fleet(*speeds, routing="round-robin"), weights=weights)
    assert forms.users_without_waiting(limits, WORK) == most
    for users in (1, most, most + 1, most + 3):
        served = closed(limits, users)
        assert (waits(served) > 0) == (users > most)
        assert mean_ttft_ns(served) == pytest.approx(forms.fleet_ttft_ns(limits, WORK, users), rel=0.03)
    with pytest.raises(ValueError, match="the work of a stream"):
        forms.users_without_waiting(limits)


@given(st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=2, max_size=4), st.sampled_from([0.5, 0.9, 0.95, 1.0]))
@settings(max_examples=30)
def test_a_slow_replica_is_seen_in_the_quantiles_of_all(speeds: list[float], quantile: float) -> None:
    limits = fleet(*speeds, routing="round-robin")
    simulation = Simulation(limits, WORK)
    simulation.arrivals(range(0, 20 * len(speeds) * SECOND, SECOND))
    ttfts = sorted(one.ttft_ns for one in simulation.run())
    assert ttfts[round(quantile * len(ttfts)) - 1] == forms.ttft_quantile_ns(limits, WORK, quantile)


def test_shares_of_requests() -> None:
    assert forms.request_shares(fleet(1.0, 0.5), WORK) == pytest.approx((2 / 3, 1 / 3))
    assert forms.request_shares(fleet(1.0, 0.5, routing="random"), WORK) == (0.5, 0.5)
    served = closed(fleet(1.0, 0.5), 12)
    assert sum(one.replica == 0 for one in served) / len(served) == pytest.approx(2 / 3, abs=0.01)


def test_sticky_users_stay_with_their_replica() -> None:
    simulation = Simulation(fleet(1.0, 1.0, 1.0, routing="sticky"), WORK)
    simulation.users(30, 2 * SECOND)
    replicas = {(one.user, one.replica) for one in simulation.run()}
    assert len(replicas) == 30
    assert len({replica for _, replica in replicas}) == 3


@pytest.mark.parametrize(("admit", "most"), [(None, 12), (9, 9), (100, 12)])
def test_users_up_to_slots_and_queue_are_never_refused_and_one_more_makes_a_refusal(
    admit: int | None, most: int
) -> None:
    limits = fleet(1.0, 1.0, limits=replace(LIMITS, queue=2), admit=admit)
    assert forms.users_without_refusal(limits) == most
    assert {one.status for one in closed(limits, most)} == {200}
    assert {one.status for one in closed(limits, most + 1)} == {200, 429}


def test_admission_limits_a_fleet_without_slots() -> None:
    assert forms.users_without_refusal(fleet(1.0, 1.0, limits=Limits(), admit=5)) == 5
    with pytest.raises(ValueError, match="nobody is refused"):
        forms.users_without_refusal(fleet(limits=Limits()))


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 5))
def test_a_burst_beyond_slots_and_queue_is_refused(requests: int, slots: int, queue: int) -> None:
    limits = fleet(1.0, 1.0, limits=Limits(slots=slots, queue=queue))
    simulation = Simulation(limits, WORK)
    simulation.arrivals([0] * requests)
    refused = sum(one.status == 429 for one in simulation.run())
    assert refused == forms.burst_refused(limits, requests)


@pytest.mark.parametrize("load", [0.5, 3.0, 8.0])
@pytest.mark.parametrize("random_work", [False, True])
def test_without_a_queue_the_share_of_refusals_is_erlang_b_whatever_the_durations(
    load: float, random_work: bool
) -> None:
    random = Random(7)
    works = [Work(prompt_tokens=0, tokens=0, ttft_ns=round(random.expovariate(10) * SECOND), itl_ns=0)
             for _ in range(10_000)]  # fmt: skip
    simulation = Simulation(fleet(limits=replace(LIMITS, queue=0)), works.__getitem__ if random_work else WORK)
    simulation.arrivals(poisson(load * 10, 10_000, random))
    served = simulation.run()
    refused = sum(one.status == 429 for one in served) / len(served)
    assert refused == pytest.approx(forms.erlang_b(4, load), abs=0.015)


def poisson(rate_per_s: float, count: int, random: Random) -> list[int]:
    now_s, times = 0.0, []
    for _ in range(count):
        now_s += random.expovariate(rate_per_s)
        times.append(round(now_s * SECOND))
    return times


def test_waits_for_exponential_durations_are_those_of_erlang_c() -> None:
    random, load = Random(3), 2.2
    works = [Work(prompt_tokens=0, tokens=0, ttft_ns=round(random.expovariate(10) * SECOND), itl_ns=0)
             for _ in range(12_000)]  # fmt: skip
    simulation = Simulation(fleet(), works.__getitem__)
    simulation.arrivals(poisson(load * 10, 12_000, random))
    served = simulation.run()
    waited = [one.wait_ns for one in served]
    assert sum(wait > 0 for wait in waited) / len(served) == pytest.approx(forms.erlang_c(4, load), abs=0.03)
    assert mean(waited) / SECOND == pytest.approx(forms.mean_wait_s(4, load, 0.1), rel=0.15)
    with pytest.raises(ValueError, match="the queue has no end"):
        forms.erlang_c(4, 4.0)


def test_a_queue_with_an_end_refuses_less_than_none() -> None:
    assert forms.erlang_b(1, 1.0) == pytest.approx(1 / 2)
    assert forms.erlang_b(1, 1.0, queue=2) == pytest.approx(1 / 4)  # of the states 0 to 3, each as likely
    assert forms.erlang_b(2, 1.0, queue=1) == pytest.approx(0.25 / (1 + 1 + 0.5 + 0.25))


@pytest.mark.parametrize("order", ["fifo", "lifo"])
def test_the_waits_of_a_burst_by_the_order_of_the_queue(order: str) -> None:
    limits = replace(LIMITS, queue_order=order)
    simulation = Simulation(fleet(limits=limits), WORK)
    simulation.arrivals([0] * 11)
    form = {
        "fifo": [position // 4 * 100 * MS for position in range(11)],
        "lifo": [forms.lifo_wait_ns(limits, WORK, position, 11) for position in range(11)],
    }
    assert [one.wait_ns for one in simulation.run()] == form[order]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_the_shortest_request_goes_first(sizes: list[int]) -> None:
    works = [Work(prompt_tokens=0, tokens=size, ttft_ns=0, itl_ns=MS) for size in sizes]
    limits = Limits(slots=1, queue_order="shortest")
    simulation = Simulation(fleet(limits=limits), works.__getitem__)
    simulation.arrivals([0] * len(sizes))
    services = [service_ns(limits, work, 1) for work in works]
    assert [one.wait_ns for one in simulation.run()] == forms.shortest_waits_ns(services)


@pytest.mark.parametrize("timeout_ms", [50, 100, 250])
def test_users_up_to_the_timeout_get_a_slot_in_time_and_one_more_makes_a_refusal(timeout_ms: int) -> None:
    limits = replace(LIMITS, queue_timeout_ns=timeout_ms * MS)
    most = forms.users_without_timeout(limits, WORK)
    assert most == 4 * (1 + timeout_ms // 100)
    assert {one.status for one in closed(fleet(limits=limits), most)} == {200}
    assert {one.status for one in closed(fleet(limits=limits), most + 1)} == {200, 503}


@given(st.integers(1, 25), st.lists(st.integers(0, 400), min_size=25, max_size=25))
@settings(max_examples=30)
def test_every_wait_is_within_its_bounds_however_the_users_begin(users: int, starts_ms: list[int]) -> None:
    simulation = Simulation(fleet(), WORK)
    for user, start_ms in enumerate(starts_ms[:users]):
        simulation.at(start_ms * MS, lambda user=user: simulation.users(1, 5 * SECOND, first=user))
    least, most = forms.wait_bounds_ns(LIMITS, WORK, users)
    steady = [
        one.wait_ns for one in simulation.run(4 * SECOND) if one.arrival_ns > 2 * SECOND and one.end_ns is not None
    ]
    assert least <= min(steady)
    assert max(steady) <= most


def test_the_most_users_for_a_ttft() -> None:
    most = forms.users_for_ttft(LIMITS, WORK, 145 * MS)  # 20 ms and a wait of 125 ms: 5 more than slots
    assert most == 9
    assert mean_ttft_ns(closed(fleet(), most, 60.0)) <= 145.5 * MS
    assert mean_ttft_ns(closed(fleet(), most + 1, 60.0)) > 145 * MS
    assert forms.users_for_ttft(LIMITS, WORK, 19 * MS) == 0


KNEE = Limits(slots=20, itl_per_active_ns=MS, knee=6, collapse=0.25)


@pytest.mark.parametrize("longest_ms", [9, 12, 20, 50])
def test_the_most_users_for_a_gap_before_and_beyond_the_knee(longest_ms: int) -> None:
    most = forms.users_for_itl(KNEE, WORK, longest_ms * MS)
    assert most == {9: 1, 12: 4, 20: 7, 50: 12}[longest_ms]
    for users in (most, most + 1):
        (gap_ns,) = {(one.end_ns - one.first_ns) / 10 for one in closed(fleet(limits=KNEE), users)}
        assert (gap_ns <= longest_ms * MS) == (users == most)


def test_no_number_of_users_has_longer_gaps_than_full_slots() -> None:
    with pytest.raises(ValueError, match="a gap below that of full slots"):
        forms.users_for_itl(LIMITS, WORK, 8 * MS)


@pytest.mark.parametrize("longest_ms", [50, 150, 300, 1_000])
def test_the_most_users_for_a_duration(longest_ms: int) -> None:
    most = forms.users_for_duration(LIMITS, WORK, longest_ms * MS)
    assert most == {50: 0, 150: 6, 300: 12, 1_000: 40}[longest_ms]
    for users in (most, most + 1):
        if users:
            mean_ns = mean(one.end_ns - one.arrival_ns for one in closed(fleet(), users, 60.0))
            assert mean_ns == pytest.approx(forms.duration_ns(LIMITS, WORK, users), rel=0.01)


def test_beyond_the_knee_more_users_get_less_done() -> None:
    users, most = forms.peak(KNEE, WORK)
    assert users == 6
    assert completed_per_s(fleet(limits=KNEE), users) == pytest.approx(most, rel=0.02)
    assert completed_per_s(fleet(limits=KNEE), 20) == pytest.approx(saturation_per_s(KNEE, WORK), rel=0.05)
    assert saturation_per_s(KNEE, WORK) < 0.6 * most


def test_replicas_for_a_number_of_users() -> None:
    assert [forms.replicas_for(users, 4) for users in (0, 1, 4, 5, 9)] == [0, 1, 1, 2, 3]
    needed = forms.replicas_for(10, 4)
    assert waits(closed(fleet(*[1.0] * needed), 10)) == 0
    assert waits(closed(fleet(*[1.0] * (needed - 1)), 10)) > 0
    assert forms.replicas_for(6, 4, (3, 2, 1)) == 2  # with two, the first gets 3.6
    with pytest.raises(ValueError, match="do not hold 9 users"):
        forms.replicas_for(9, 4, (3, 2, 1))
    with pytest.raises(ValueError, match="holds nobody"):
        forms.replicas_for(1, 0)


def test_users_who_think_need_fewer_slots() -> None:
    most = forms.users_with_think_time(4, service_ns(LIMITS, WORK, 4), 200 * MS)
    assert most == 12
    simulation = Simulation(fleet(), WORK)
    simulation.users(12, 10 * SECOND, think_ns=200 * MS, spread_ns=25 * MS)
    assert waits(simulation.run()) == 0


def test_cold_replicas_begin_later() -> None:
    limits = fleet(1.0, 1.0, limits=replace(LIMITS, cold_requests=3, cold_ns=500 * MS))
    simulation = Simulation(limits, WORK)
    simulation.users(2, 10 * SECOND)
    ttfts = [one.ttft_ns // MS for one in simulation.run()]
    assert ttfts[:6] == [520] * 6
    assert set(ttfts[6:]) == {20}
    assert [forms.cold_mean_ns(limits, count) / MS for count in (4, 6, 12)] == [500, 500, 250]
    assert mean(ttfts[:12]) - 20 == 250


def test_an_idle_replica_is_cold_again() -> None:
    limits = replace(LIMITS, cold_requests=1, cold_ns=500 * MS, cold_after_ns=SECOND)
    simulation = Simulation(fleet(limits=limits), WORK)
    simulation.arrivals([0, SECOND, 2 * SECOND, 4 * SECOND])
    assert [one.ttft_ns // MS for one in simulation.run()] == [520, 20, 20, 520]


OVERLOAD = replace(LIMITS, overload_at=3, overload_factor=2.0, recovery_ns=SECOND)


def test_an_overloaded_replica_is_slower_as_long_as_users_wait() -> None:
    most = forms.users_from_below(OVERLOAD)
    assert most == 6
    fast, slow = (completed_per_s(fleet(limits=OVERLOAD), users) for users in (most, most + 1))
    assert fast == pytest.approx(saturation_per_s(OVERLOAD, WORK), rel=0.02)
    assert slow == pytest.approx(forms.overloaded_saturation_per_s(OVERLOAD, WORK), rel=0.02)


def test_the_capacity_of_a_replica_that_was_overloaded_is_smaller() -> None:
    """Seven users make it slow. With five it stays slow for ever, with four it recovers."""
    for remaining, expected_ns in ((5, 2 * first_ns(OVERLOAD, WORK)), (4, first_ns(OVERLOAD, WORK))):
        simulation = Simulation(fleet(limits=OVERLOAD), WORK)
        simulation.users(remaining, 20 * SECOND)
        simulation.users(7 - remaining, 5 * SECOND, first=100)
        late = [one for one in simulation.run() if one.arrival_ns > 10 * SECOND]
        assert {one.first_ns - one.slot_ns for one in late} == {expected_ns}
    assert forms.users_from_above(OVERLOAD) == 4


@pytest.mark.parametrize("waiting", [3, 4, 9])
def test_the_recovery_takes_the_drain_of_the_queue_and_the_time_that_it_must_stay_empty(waiting: int) -> None:
    simulation = Simulation(fleet(limits=OVERLOAD), WORK)
    replica = simulation.fleet.replicas[0]
    simulation.arrivals([0] * (4 + waiting))
    states: list[tuple[int, bool]] = []
    for time_ms in range(0, 4_000, 10):
        simulation.at(time_ms * MS, lambda: states.append((simulation.now_ns, replica.overloaded)))
    simulation.run()
    recovered_ns = next(time_ns for time_ns, slow in states if time_ns > 0 and not slow)
    least, most = forms.recovery_ns(OVERLOAD, WORK, waiting)
    assert least <= recovered_ns <= most + 10 * MS


TURNS = [30, 50, 75, 90, 130, 160]


def session(routing: Routing, seed: int = 0) -> list[int]:
    """The cached words of each turn of one session over three replicas."""
    limits = Limits(cache_blocks=1_000, block_tokens=8, prefill_rate=100)
    words = [f"w{index}" for index in range(max(TURNS))]
    simulation = Simulation(
        fleet(1.0, 1.0, 1.0, limits=limits, routing=routing), WORK, seed, lambda seq: [" ".join(words[: TURNS[seq]])]
    )

    def turn(seq: int) -> None:
        simulation.request(0, lambda _: turn(seq + 1) if seq + 1 < len(TURNS) else None)

    turn(0)
    served = simulation.run()
    for one in served:
        assert one.first_ns - one.slot_ns == (one.prompt_tokens - one.cached_tokens) * 10 * MS + WORK.ttft_ns
    return [one.cached_tokens for one in served]


@pytest.mark.parametrize("routing", ["sticky", "round-robin", "least-connections"])
def test_a_session_finds_the_turn_before_that_its_replica_saw(routing: Routing) -> None:
    limits = fleet(1.0, 1.0, 1.0, routing=routing)
    assert session(routing) == forms.session_cached_tokens(limits, TURNS, 8)
    assert session("sticky")[1:] == [24, 48, 72, 88, 128]
    assert session("round-robin")[:4] == [0, 0, 0, 24]


def test_a_session_by_lot_finds_less_than_a_sticky_one_and_more_than_one_in_turn() -> None:
    limits = fleet(1.0, 1.0, 1.0, routing="random")
    runs = [session("random", seed) for seed in range(400)]
    found = [mean(turns) for turns in zip(*runs, strict=True)]
    assert found == pytest.approx(forms.session_cached_tokens(limits, TURNS, 8), abs=4)
    with pytest.raises(ValueError, match="expected equal weights"):
        forms.session_cached_tokens(replace(limits, weights=(3, 1, 1)), TURNS, 8)


def test_a_tail_that_is_held_keeps_its_slot() -> None:
    held = replace(WORK, tail_ns=100 * MS)
    assert completed_per_s(fleet(), 8, work=held) == pytest.approx(saturation_per_s(LIMITS, held), rel=0.02)
    assert saturation_per_s(LIMITS, held) == pytest.approx(saturation_per_s(LIMITS, WORK) / 2)
