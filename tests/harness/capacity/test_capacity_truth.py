"""The reported interval against the closed forms of the mock, in seeded runs of simulated time.

Twenty runs a setting, so a hundred in all. `make capacity-proof` makes a hundred of each.
"""

import math
import os
from dataclasses import replace
from random import Random
from statistics import median
from typing import Any

import pytest

from streamgauge.capacity.answer import Answer, Ending, answer
from streamgauge.capacity.budget import Budget, spent
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.point import Kind, Verdict
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.capacity.search import Search, SearchPlan
from streamgauge.mock_provider.capacity import ttft_ns
from streamgauge.mock_provider.fleet import forms
from streamgauge.mock_provider.fleet.limits import FleetLimits
from streamgauge.units import MS, SECOND
from tests.harness.capacity.settings import SETTINGS, Z95, Setting, mean_wait_ns
from tests.harness.capacity.simulated import able, closed_loop, searched

RUNS = int(os.environ.get("STREAMGAUGE_CAPACITY_RUNS", "20"))
KINDS = {
    "knee": Kind.LATENCY,
    "cliff": Kind.LATENCY,
    "queue": Kind.LATENCY,
    "429": Kind.REFUSAL,
    "replicas": Kind.LATENCY,
}


def plan(run: int, **more: Any) -> SearchPlan:
    return SearchPlan(seed=run + 1, seconds=5, longest_s=50, from_above=False, confirm_rate=False, **more)


def search(setting: Setting, run: int) -> Search:
    return searched(setting.system, objectives(setting.slos), run, plan(run))


def contains(found: Answer, truth: int) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth < found.high


@pytest.mark.timeout(120 + 10 * RUNS)
@pytest.mark.parametrize("name", SETTINGS)
def test_the_interval_contains_the_truth_and_the_binding_objective_is_right(name: str) -> None:
    setting = SETTINGS[name]
    found = [answer(search(setting, run)) for run in range(RUNS)]

    assert sum(contains(one, setting.truth) for one in found) >= 0.95 * RUNS
    assert {(one.binding, one.kind, one.ending) for one in found} == {(setting.binding, KINDS[name], Ending.BRACKETED)}
    # An interval is also worth something: without undecided loads it is one user or 5 % wide.
    widths = [one.high - one.low for one in found if one.high is not None and one.low is not None]
    assert sum(width <= 3 for width in widths) >= 0.95 * RUNS
    assert median(one.seconds for one in found) <= setting.load_s


@pytest.mark.timeout(120 + 10 * RUNS)
def test_a_budget_that_is_too_small_for_the_whole_search_is_spent_on_both_ends() -> None:
    """In 200 s there is no room for the whole search. Most answers are settled all the same, and none is wrong."""
    budget, runs = Budget(seconds=200), max(RUNS // 5, 2)
    searches = [
        (searched(setting.system, objectives(setting.slos), run, plan(run), budget=budget), setting.truth)
        for setting in SETTINGS.values()
        for run in range(runs)
    ]
    found = [(answer(search), truth) for search, truth in searches]

    assert sum(one.ending is Ending.BRACKETED for one, _ in found) >= 0.7 * len(found)
    assert all(contains(one, truth) for one, truth in found if one.ending is Ending.BRACKETED)
    assert all(spent(search.points).seconds <= budget.seconds for search, _ in searches)


def test_the_truths_are_those_of_the_closed_forms() -> None:
    knee, refusing = SETTINGS["knee"], SETTINGS["429"]
    # The simulation draws lengths around the form: its p95 is so many times the mean, over one gap less than tokens.
    slowest = math.exp(Z95 * knee.system.sigma) * knee.system.work.tokens / (knee.system.work.tokens - 1)

    many = replace(knee.system.limits, slots=100)  # the form wants slots; with so many, nobody waits for one
    assert forms.users_for_itl(many, knee.system.work, round(65 * MS / slowest)) == knee.truth
    assert forms.users_without_refusal(FleetLimits(replicas=(refusing.system.limits,))) == refusing.truth


@pytest.mark.parametrize("users", [1, 6, 7, 12, 20])
def test_the_waits_of_the_simulation_are_those_of_the_closed_form(users: int) -> None:
    system = SETTINGS["queue"].system

    assert mean_wait_ns(users, system) == pytest.approx(ttft_ns(system.limits, system.work, users), abs=MS)


def test_a_simulated_queue_has_the_mean_wait_and_the_rate_of_the_closed_form() -> None:
    system = SETTINGS["queue"].system
    served = closed_loop(system, 12, 2_000 * SECOND, Random(1))[100:-100]
    waits = [one.first - one.asked for one in served if one.first is not None]

    assert sum(waits) / len(waits) == pytest.approx(ttft_ns(system.limits, system.work, 12), rel=0.03)
    assert len(served) / 2_000 == pytest.approx(6 / 0.4, rel=0.05)


class TestClient:
    """A client that has no CPU left."""

    @staticmethod
    def starved(least: float) -> Any:
        def client(probe: Probe) -> dict[str, Any]:
            if probe.load < least:
                return able(probe)
            return {"client": "SUSPECT", "client_reasons": ["share of a core is 99%"], "core_used": 0.99}

        return client

    @pytest.mark.parametrize("run", range(20))
    def test_a_starved_client_is_the_limit_and_never_the_server(self, run: int) -> None:
        """In each kind of endpoint, at a load below its capacity, and 5 users in any case."""
        name = list(SETTINGS)[run % len(SETTINGS)]
        setting, least = SETTINGS[name], 2 + run // len(SETTINGS)

        found = answer(searched(setting.system, objectives(setting.slos), run, plan(run), client=self.starved(least)))

        assert (found.ending, found.high) == (Ending.CLIENT_LIMITED, None)
        assert found.low is None or found.low < least
        assert "the client, not the server" in found.headline
        assert "share of a core is 99%" in found.client

    def test_a_client_that_is_starved_from_the_first_user_on_gives_no_capacity_at_all(self) -> None:
        setting = SETTINGS["knee"]
        found = answer(searched(setting.system, objectives(setting.slos), 0, plan(0), client=self.starved(1)))

        assert (found.ending, found.low, found.high) == (Ending.CLIENT_LIMITED, None, None)
        assert found.met(1) is None

    def test_one_disturbance_of_the_machine_does_not_end_the_search(self) -> None:
        setting, disturbed = SETTINGS["cliff"], set[float]()

        def client(probe: Probe) -> dict[str, Any]:
            first = probe.load not in disturbed
            disturbed.add(probe.load)
            return {"client": "INVALID"} if first and probe.load == 4 else able(probe)

        found = answer(searched(setting.system, objectives(setting.slos), 0, plan(0), client=client))

        assert contains(found, setting.truth)
        assert 4 in disturbed


def test_a_search_gives_the_same_answer_for_the_same_points() -> None:
    """So that a search can be resumed: it asks the same questions when it is given the points of its history."""
    first = search(SETTINGS["queue"], 3)
    second = Search(first.plan)
    for point in first.points:
        assert second.next == point.probe
        second.take(point)

    assert second.next is None
    assert answer(second) == answer(first)


def test_both_ends_are_measured_again_with_the_same_seeds_in_random_order() -> None:
    orders = set()
    for run in range(8):
        done = search(SETTINGS["429"], run)
        low, high = done.ladder.bracket
        repeats = [point.probe for point in done.points if point.probe.purpose is Purpose.REPEAT]
        orders.add(tuple(probe.load for probe in repeats))
        seeds = [
            {point.probe.seed for point in done.ladder.points[end] if point.verdict is not Verdict.UNDECIDED}
            for end in (low, high)
            if end is not None
        ]
        assert all(len(each) >= 2 for each in seeds)

    assert {(9, 10), (10, 9)} <= orders
