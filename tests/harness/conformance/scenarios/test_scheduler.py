"""Scenarios at the same time: which of them may send requests when, and what an error does."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.declaration import Concurrency, Scenario
from streamgauge.conformance.scenarios.runner import ScenarioRunner, Waiting
from streamgauge.conformance.scenarios.scheduler import AT_ONCE, ScenarioScheduler, run_scenarios
from tests.harness.conformance.tapes import Tape


def made(name: str, concurrency: Concurrency) -> Scenario:
    def requests(_run: ScenarioRunner) -> Iterator[Observed]:
        raise AssertionError("the tests observe in another way")

    return Scenario(name=name, summary=f"{concurrency}", requests=requests, concurrency=concurrency)


SHARED = [made(f"shared-{number}", Concurrency.SHARED) for number in range(2 * AT_ONCE)]
ALONE = made("alone", Concurrency.ALONE)
LAST = made("last", Concurrency.LAST)
IDLE = made("idle", Concurrency.IDLE)
PATIENCE_S = 20


class Stage:
    """Observes scenarios, and notes which others run at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.present: set[str] = set()
        self.most = 0
        self.company: dict[str, set[str]] = {}
        self.ended: list[str] = []
        self.lasted = threading.Event()

    def observe(self, scenario: Scenario, waiting: Waiting) -> list[Observed]:
        if scenario.concurrency is Concurrency.IDLE:
            assert self.lasted.wait(PATIENCE_S)  # it is still waiting when everything else is over
            return [observed(scenario)]
        with self.lock:
            self.present.add(scenario.name)
            self.most = max(self.most, len(self.present))
            self.company[scenario.name] = self.present - {scenario.name}
        threading.Event().wait(0.005)
        with self.lock:
            self.present.remove(scenario.name)
            self.ended.append(scenario.name)
        if scenario.concurrency is Concurrency.LAST:
            self.lasted.set()
        with waiting():
            pass
        return [observed(scenario)]


def observed(scenario: Scenario) -> Observed:
    return Tape(scenario=scenario.name).play()


def test_many_are_there_together_and_one_alone_in_the_order_of_the_scenarios() -> None:
    stage, told = Stage(), []
    scenarios = [LAST, *SHARED, IDLE, ALONE]

    seen = run_scenarios(scenarios, stage.observe, lambda *step: told.append(step), done=1, total=len(scenarios) + 1)

    assert [one.scenario for one in seen] == [scenario.name for scenario in scenarios]
    assert 1 < stage.most <= AT_ONCE
    assert stage.company["alone"] == stage.company["last"] == set()
    assert stage.ended[-1] == "last"
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("done", len(scenarios) + 1, len(scenarios) + 1)


def test_who_waits_without_a_request_lets_others_go_on() -> None:
    """More of them than there are places wait for what only the one alone does."""
    done = threading.Event()
    waiters = SHARED[: AT_ONCE + 2]

    def observe(scenario: Scenario, waiting: Waiting) -> list[Observed]:
        if scenario is ALONE:
            done.set()
        else:
            with waiting():
                assert done.wait(PATIENCE_S)
        return [observed(scenario)]

    seen = run_scenarios([*waiters, ALONE], observe, lambda *_: None, done=0, total=len(waiters) + 1)

    assert len(seen) == len(waiters) + 1


@pytest.mark.parametrize("culprit", [SHARED[3], ALONE, LAST])
def test_an_error_is_raised_and_nobody_is_waited_for(culprit: Scenario) -> None:
    """Not even for a silence that would last for ever."""
    never = threading.Event()

    def observe(scenario: Scenario, _waiting: Waiting) -> list[Observed]:
        if scenario is culprit:
            raise LookupError(scenario.name)
        if scenario is IDLE:
            never.wait(PATIENCE_S)
        return [observed(scenario)]

    with pytest.raises(LookupError, match=culprit.name):
        run_scenarios([*SHARED, IDLE, ALONE, LAST], observe, lambda *_: None, done=0, total=20)
    never.set()


def test_a_place_is_given_back_when_a_scenario_fails() -> None:
    scheduler = ScenarioScheduler(2)

    def fail(place: AbstractContextManager[None]) -> None:
        with pytest.raises(LookupError), place:
            raise LookupError

    fail(scheduler.shared(0))
    fail(scheduler.shared(1))
    fail(scheduler.alone())
    with scheduler.alone():
        pass


def test_shared_scenarios_start_in_their_order_whichever_thread_comes_first() -> None:
    """So the scenarios that leave streams early, the last ones, cannot spoil the others on a fragile server."""
    scheduler, second_started = ScenarioScheduler(2), threading.Event()

    def second() -> None:
        with scheduler.shared(1):
            second_started.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not second_started.wait(0.05)
    with scheduler.shared(0):
        assert second_started.wait(PATIENCE_S)
    thread.join(PATIENCE_S)


def test_the_scenarios_that_leave_streams_early_are_the_last_shared_ones() -> None:
    shared = [scenario.name for scenario in SCENARIOS.values() if scenario.concurrency is Concurrency.SHARED]

    assert set(shared[-4:]) == {"cancel-mid", "cancel-early", "cancel-headless", "half-close"}
