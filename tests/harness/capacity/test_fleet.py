"""Replicas for a number of users, the models, and when they are refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.capacity.answer import answer
from streamgauge.capacity.axis import Axis
from streamgauge.capacity.fleet import (
    FleetRequest,
    OneReplica,
    erlang_c,
    fleet_of,
    fleet_sentences,
    queueing,
    replicas_for,
    scalability,
    skew_of,
    with_pauses,
)
from streamgauge.mock_provider.fleet import forms
from tests.harness.capacity.points import holds, run


@given(st.integers(1, 10_000), st.integers(1, 200))
def test_the_replicas_for_n_users_are_exact_where_the_capacity_is_known_to_one_user(users: int, capacity: int) -> None:
    found = replicas_for(users, capacity, capacity + 1)

    assert found.low == found.high == math.ceil(users / capacity)


def test_an_interval_of_the_capacity_is_one_of_the_replicas() -> None:
    assert replicas_for(100, 9, 13)[1:] == (9, 12)
    assert replicas_for(100, None, 5)[1:] == (25, None)
    assert replicas_for(100, 10, None)[1:] == (None, 10)
    assert replicas_for(100, 10, None).words == "at most 10 replicas"
    assert replicas_for(100, None, None).words == "a number of replicas that is not known"
    assert replicas_for(100, 10, 11, headroom=0.2)[1:] == (12, 12)
    assert replicas_for(100, 10, 11, skew=1.5)[1:] == (15, 15)


@pytest.mark.parametrize("capacity", [1, 5, 9, 30])
def test_a_search_gives_the_exact_number_of_replicas(capacity: int) -> None:
    search = run(holds(capacity), precision=0.01)
    fleet = fleet_of(search, FleetRequest(users=100, headroom=0))

    assert fleet.needs is not None
    assert answer(search).low == capacity
    assert fleet.needs.low == fleet.needs.high == math.ceil(100 / capacity)
    assert dict(fleet_sentences(fleet, Axis.USERS))["replicas"].startswith("100 users need ")
    by_sessions = dict(fleet_sentences(fleet, Axis.SESSIONS))["scalability"]
    assert "users" not in by_sessions


def test_the_capacity_of_a_fleet_is_that_of_all_its_replicas() -> None:
    """Three replicas hold 9 users, with the skew that they have: 100 users need 34 of them, and not 12."""
    assert replicas_for(100, 9, 10, of=3)[1:] == (34, 34)
    seen = {"replicas": {"a": 50, "b": 30, "c": 20}}
    counted = fleet_of(run(holds(9), seen=lambda _: seen), FleetRequest(users=100, headroom=0))
    given = fleet_of(run(holds(9)), FleetRequest(users=100, headroom=0, replicas=3))

    assert counted.needs == given.needs == replicas_for(100, 9, 10, of=3)
    assert counted.skew == 1.5


def test_one_replica_that_answered_everything_is_said_and_is_no_skew() -> None:
    only = fleet_of(run(holds(9), seen=lambda _: {"replicas": {"10.0.0.7:80": 50}}), FleetRequest())
    assert only.skew is None
    assert dict(fleet_sentences(only, Axis.USERS))["skew"].startswith("every stream was answered by 10.0.0.7:80:")
    assert "skew" not in dict(fleet_sentences(fleet_of(run(holds(9)), FleetRequest()), Axis.USERS))


@pytest.mark.parametrize(("users", "capacity"), [(100, 9), (64, 8), (65, 8), (7, 30)])
def test_the_replicas_are_those_of_the_closed_form_of_the_mock(users: int, capacity: int) -> None:
    assert replicas_for(users, capacity, capacity + 1).low == forms.replicas_for(users, capacity)


def test_users_who_pause_are_worth_fewer() -> None:
    """A stream takes 1 s, and the pause 9 s: only one user of ten asks for something."""
    assert with_pauses(12, 1, 9) == forms.users_with_think_time(12, 1, 9) == 120
    fleet = fleet_of(run(holds(12)), FleetRequest(users=600, headroom=0, pause_s=9))
    assert fleet.needs is not None
    assert (fleet.needs.low, fleet.needs.high) == (5, 5)


def test_the_scalability_law_is_found_again_in_its_own_points() -> None:
    law = scalability({n: 5 * n / (1 + 0.02 * (n - 1) + 0.0005 * n * (n - 1)) for n in (1, 2, 4, 8, 16, 32, 64)})

    assert (law.rate, law.contention, law.coherency) == pytest.approx((5, 0.02, 0.0005))
    assert law.peak == pytest.approx(math.sqrt(0.98 / 0.0005))
    assert law.error == pytest.approx(0, abs=1e-6)
    assert law.refused is None


def test_a_law_is_refused_where_it_does_not_fit_or_where_anything_would() -> None:
    stairs = scalability({1: 1, 2: 2, 4: 4, 8: 8, 9: 2, 16: 16})
    assert stairs.refused is not None
    assert stairs.refused.startswith("it misses the points by ")
    assert scalability({1: 1, 2: 2, 4: 4}).refused == "3 loads with a throughput, and the law needs 4"


def test_slots_bend_the_law_but_do_not_break_it() -> None:
    law = scalability({n: min(n, 8) * 2.0 for n in (1, 2, 4, 6, 8, 9, 10)})

    assert law.refused is None
    assert law.error < 0.1


def test_erlang_c_by_hand() -> None:
    """One slot waits with the probability of its load (M/M/1); two slots at 1 Erlang: 1/3."""
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1) == pytest.approx(1 / 3)
    assert erlang_c(4, 4) == 1


@given(st.integers(1, 40), st.floats(0.01, 0.99))
def test_erlang_c_is_that_of_the_mock(slots: int, load: float) -> None:
    assert erlang_c(slots, load * slots) == pytest.approx(forms.erlang_c(slots, load * slots), rel=1e-9)


def test_a_queueing_model_is_refused_where_the_measurement_says_otherwise() -> None:
    fits = queueing(2, rate=1.0, service_s=1.0, spare_s=1.0, measured=0.12)
    assert fits.predicted == pytest.approx(math.exp(-1) / 3, abs=1e-4)
    assert fits.refused is None
    assert queueing(2, rate=1.0, service_s=1.0, spare_s=1.0, measured=0.5).refused is not None


def test_skew_is_the_share_of_the_busiest_replica() -> None:
    assert skew_of({"a": 50, "b": 30, "c": 20}) == pytest.approx(1.5)
    assert skew_of({"a": 50}) is None


def test_a_fleet_is_compared_with_its_replicas() -> None:
    each = [OneReplica("http://a/", 10, 11), OneReplica("http://b/", 10, 11)]
    fleet = fleet_of(run(holds(16)), FleetRequest(users=100, headroom=0), each)
    lines = dict(fleet_sentences(fleet, Axis.USERS))

    assert (fleet.ratio_low, fleet.ratio_high) == (round(16 / 22, 4), round(17 / 20, 4))
    assert lines["the fleet"] == "holds 73% to 85% of its replicas together"
    assert lines["replicas"] == "100 users need 10 replicas"
