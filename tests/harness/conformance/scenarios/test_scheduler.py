"""Scenarios side by side: who may ask when, in which order it is told, and what an error does."""

import threading
from contextlib import AbstractContextManager

import pytest

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.declared_scenarios import Scenario, Turn
from streamgauge.conformance.scenarios.scheduler import AT_ONCE, ScenarioScheduler, Waiting, perform
from tests.harness.conformance.tapes import Tape

TOGETHER = [Scenario(f"together-{number}", "one of many") for number in range(2 * AT_ONCE)]
ALONE = Scenario("alone", "measures time", turn=Turn.ALONE)
LAST = Scenario("last", "after everything else", turn=Turn.LAST)
SILENT = Scenario("silent", "waits for minutes", turn=Turn.SILENT)
PATIENCE_S = 20


class Stage:
    """Plays that note who is there with them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.present: set[str] = set()
        self.most = 0
        self.company: dict[str, set[str]] = {}
        self.ended: list[str] = []
        self.lasted = threading.Event()

    def play(self, scenario: Scenario, waiting: Waiting) -> list[Observed]:
        if scenario.turn is Turn.SILENT:
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
        if scenario.turn is Turn.LAST:
            self.lasted.set()
        with waiting():
            pass
        return [observed(scenario)]


def observed(scenario: Scenario) -> Observed:
    return Tape(scenario=scenario.name).play()


def test_many_are_there_together_and_one_alone_in_the_order_of_the_scenarios() -> None:
    stage, told = Stage(), []
    scenarios = [LAST, *TOGETHER, SILENT, ALONE]

    seen = perform(scenarios, stage.play, lambda *step: told.append(step), done=1, total=len(scenarios) + 1)

    assert [one.scenario for one in seen] == [scenario.name for scenario in scenarios]
    assert 1 < stage.most <= AT_ONCE
    assert stage.company["alone"] == stage.company["last"] == set()
    assert stage.ended[-1] == "last"
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("done", len(scenarios) + 1, len(scenarios) + 1)


def test_who_waits_without_a_request_lets_others_go_on() -> None:
    """More of them than there are places wait for what only the one alone does."""
    done = threading.Event()
    waiters = TOGETHER[: AT_ONCE + 2]

    def play(scenario: Scenario, waiting: Waiting) -> list[Observed]:
        if scenario is ALONE:
            done.set()
        else:
            with waiting():
                assert done.wait(PATIENCE_S)
        return [observed(scenario)]

    seen = perform([*waiters, ALONE], play, lambda *_: None, done=0, total=len(waiters) + 1)

    assert len(seen) == len(waiters) + 1


@pytest.mark.parametrize("culprit", [TOGETHER[3], ALONE, LAST])
def test_an_error_is_raised_and_nobody_is_waited_for(culprit: Scenario) -> None:
    """Not even for a silence that would last for ever."""
    never = threading.Event()

    def play(scenario: Scenario, _waiting: Waiting) -> list[Observed]:
        if scenario is culprit:
            raise LookupError(scenario.name)
        if scenario is SILENT:
            never.wait(PATIENCE_S)
        return [observed(scenario)]

    with pytest.raises(LookupError, match=culprit.name):
        perform([*TOGETHER, SILENT, ALONE, LAST], play, lambda *_: None, done=0, total=20)
    never.set()


def test_a_place_is_given_back_when_a_play_fails() -> None:
    floor = ScenarioScheduler(2)

    def fail(place: AbstractContextManager[None]) -> None:
        with pytest.raises(LookupError), place:
            raise LookupError

    fail(floor.together())
    fail(floor.together())
    fail(floor.alone())
    with floor.alone():
        pass
