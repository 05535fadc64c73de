"""Plays scenarios side by side: most of them are waiting, and one that measures time has the floor to itself.

Each scenario has a thread and a client of its own. A few of them make requests at a time; one that only waits for the
mock's ledger lets others go on. The order of what was observed is that of the scenarios, whatever the order of events.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.declared_scenarios import Scenario, Turn

AT_ONCE: Final = 6
TICK_S: Final = 1.0

Progress = Callable[[str, int, int], None]
"""What is being tried, and how many scenarios of how many are done."""


class ScenarioScheduler:
    """Who may make requests: up to AT_ONCE together, or one alone once all of those have had their turn."""

    def __init__(self, to_come: int) -> None:
        self._changed = threading.Condition()
        self._to_come = to_come  # of those who go together
        self._taken = 0
        self._closed = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """A place among those who are there together."""
        with self._changed:
            self._changed.wait_for(self._is_open)
            self._to_come -= 1
            self._taken += 1
        try:
            yield
        finally:
            self._give_up()

    @contextmanager
    def left(self) -> Iterator[None]:
        """The place given up for a while: for waiting without any request of one's own under way."""
        self._give_up()
        try:
            yield
        finally:
            with self._changed:
                self._changed.wait_for(self._is_open)
                self._taken += 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else makes a request meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._to_come)
            self._closed = True
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()

    def _is_open(self) -> bool:
        return not self._closed and self._taken < AT_ONCE

    def _give_up(self) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()


Waiting = Callable[[], AbstractContextManager[None]]
"""In it one waits without having a request under way."""

PlayOne = Callable[[Scenario, Waiting], list[Observed]]
"""Makes the requests of one scenario, in the thread that it is called in."""


def perform(
    scenarios: Sequence[Scenario], play: PlayOne, progress: Progress, *, done: int, total: int
) -> list[Observed]:
    """What the scenarios observed, in the order given. Raises the first thing that one of them raised.

    `done` of the `total` have been played before.
    """
    together = [one for one in scenarios if one.turn is Turn.TOGETHER]
    silent = [one for one in scenarios if one.turn is Turn.SILENT]
    apart = [one for one in scenarios if one.turn in (Turn.ALONE, Turn.LAST)]
    floor = ScenarioScheduler(len(together))
    company = _Company(play, progress, done, total)

    def beside(scenario: Scenario) -> None:
        with floor.together():
            company.perform(scenario, floor.left)

    def meanwhile(scenario: Scenario) -> None:
        company.perform(scenario, nullcontext)

    # Daemons, so that an interrupted run does not wait for an endpoint that says nothing.
    for scenario in silent:
        threading.Thread(target=meanwhile, args=(scenario,), name=scenario.name, daemon=True).start()
    for scenario in together:
        threading.Thread(target=beside, args=(scenario,), name=scenario.name, daemon=True).start()
    for scenario in sorted(apart, key=lambda one: one.turn is Turn.LAST):
        if scenario.turn is Turn.LAST:
            company.wait_for(together)
        with floor.alone():
            company.perform(scenario, nullcontext)
    return company.wait_for(scenarios)


class _Company:
    """What is under way, what has been observed, and what went wrong."""

    def __init__(self, play: PlayOne, progress: Progress, done: int, total: int) -> None:
        self._play = play
        self._progress = progress
        self._done, self._total = done, total
        self._changed = threading.Condition()
        self._under_way: list[Scenario] = []
        self._observed: dict[str, list[Observed]] = {}
        self._failed: BaseException | None = None

    def perform(self, scenario: Scenario, waiting: Waiting) -> None:
        with self._changed:
            self._under_way.append(scenario)
            self._tell()
        try:
            observed = self._play(scenario, waiting)
        except BaseException as error:
            with self._changed:
                self._failed = self._failed or error
                self._changed.notify_all()
            return
        with self._changed:
            self._observed[scenario.name] = observed
            self._under_way.remove(scenario)
            self._done += 1
            self._tell()
            self._changed.notify_all()

    def wait_for(self, scenarios: Sequence[Scenario]) -> list[Observed]:
        """What they observed, when all of them have been played, or the first error that there was."""
        start = time.monotonic()
        with self._changed:
            while self._failed is None and any(one.name not in self._observed for one in scenarios):
                if not self._changed.wait(TICK_S):
                    self._tell(time.monotonic() - start)
            if self._failed is not None:
                raise self._failed
            return [seen for one in scenarios for seen in self._observed[one.name]]

    def _tell(self, waited_s: float = 0.0) -> None:
        what = self._under_way[-1].summary if self._under_way else "done"
        if waited_s:
            what = f"{waited_s:.0f} s of waiting: {', '.join(one.summary for one in self._under_way)}"
        self._progress(what, self._done, self._total)
