"""Runs scenarios at the same time, because most of them wait. One that measures time runs while no other sends.

Each scenario has a thread and a client of its own. At most AT_ONCE of them have requests under way; one that only waits
for the mock's ledger gives its place to another. Where the endpoint serves one request at a time, the scenarios run one
after another. The observations come back in the order of the scenarios, whatever order they were made in.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.daemon_threads import start
from streamgauge.conformance.scenarios.declaration import Concurrency, Scenario
from streamgauge.conformance.scenarios.runner import Waiting

AT_ONCE: Final = 6
TICK_S: Final = 1.0
_AT_THE_END: Final = (Concurrency.IDLE, Concurrency.LAST, Concurrency.COSTLY)

Progress = Callable[[str, int, int], None]
"""What is being tried, how many scenarios are done, and how many there are."""

ObserveScenario = Callable[[Scenario, Waiting], list[Observed]]
"""Makes the requests of one scenario, in the thread that calls it."""


class ScenarioScheduler:
    """Decides who may send requests: up to `at_once` shared scenarios, or one alone once all shared ones have run.

    Shared scenarios start in their order. Those that leave a stream early come last in it, because a fragile server may
    refuse every request after one of them.
    """

    def __init__(self, shared: int, at_once: int = AT_ONCE) -> None:
        self._changed = threading.Condition()
        self._at_once = at_once
        self._shared = shared
        self._started = 0
        self._active = 0
        self._exclusive = False

    @contextmanager
    def shared(self, position: int) -> Iterator[None]:
        """Run beside other shared scenarios, when those before `position` have started and there is a place."""
        with self._changed:
            self._changed.wait_for(lambda: self._started == position and self._has_place())
            self._started += 1
            self._active += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give the place to another for a while: for waiting without a request under way."""
        self._leave()
        try:
            yield
        finally:
            with self._changed:
                self._changed.wait_for(self._has_place)
                self._active += 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run while no shared scenario has a request under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._active and self._started == self._shared)
            self._exclusive = True
        try:
            yield
        finally:
            with self._changed:
                self._exclusive = False
                self._changed.notify_all()

    def _has_place(self) -> bool:
        return not self._exclusive and self._active < self._at_once

    def _leave(self) -> None:
        with self._changed:
            self._active -= 1
            self._changed.notify_all()


def run_scenarios(
    scenarios: Sequence[Scenario],
    observe: ObserveScenario,
    progress: Progress,
    *,
    done: int,
    total: int,
    at_once: int = AT_ONCE,
) -> list[Observed]:
    """The observations of the scenarios, in the order given. Raises the first error of one of them.

    `done` of the `total` have run before. With `at_once` 1 an idle scenario runs alone too: it holds a connection.
    """
    idle = [one for one in scenarios if one.concurrency is Concurrency.IDLE and at_once > 1]
    shared = [one for one in scenarios if one.concurrency is Concurrency.SHARED]
    exclusive = [one for one in scenarios if one not in (*idle, *shared)]
    scheduler = ScenarioScheduler(len(shared), at_once)
    report = _ProgressReport(progress, done, total)

    def run(scenario: Scenario, waiting: Waiting) -> list[Observed]:
        with report.under_way(scenario):
            return observe(scenario, waiting)

    def run_shared(position: int, scenario: Scenario) -> list[Observed]:
        with scheduler.shared(position):
            return run(scenario, scheduler.paused)

    idle_runs = start([partial(run, scenario, nullcontext) for scenario in idle])
    shared_runs = start([partial(run_shared, position, scenario) for position, scenario in enumerate(shared)])
    observed: dict[str, list[Observed]] = {}
    for scenario in sorted(exclusive, key=_turn):
        if scenario.concurrency is Concurrency.LAST:
            _wait_for(shared_runs, report)
        elif scenario.concurrency is Concurrency.COSTLY:
            _wait_for([*idle_runs, *shared_runs], report)
        with scheduler.alone():
            observed[scenario.name] = run(scenario, nullcontext)
    runs = [*idle_runs, *shared_runs]
    _wait_for(runs, report)
    for scenario, finished in zip([*idle, *shared], runs, strict=True):
        observed[scenario.name] = finished.result()
    return [one for scenario in scenarios for one in observed[scenario.name]]


def _turn(scenario: Scenario) -> int:
    """The order of the scenarios that run alone."""
    return _AT_THE_END.index(scenario.concurrency) + 1 if scenario.concurrency in _AT_THE_END else 0


def _wait_for(runs: Sequence[Future[list[Observed]]], report: "_ProgressReport") -> None:
    """Return when all have ended. Raises the first error without waiting for the others."""
    start_s = time.monotonic()
    pending = set(runs)
    while pending:
        ended, pending = wait(pending, timeout=TICK_S, return_when=FIRST_EXCEPTION)
        for one in ended:
            one.result()
        if pending:
            report.waited(time.monotonic() - start_s)


class _ProgressReport:
    """Which scenarios are under way and how many are done, passed on at each change."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self._progress = progress
        self._done, self._total = done, total
        self._lock = threading.Lock()
        self._under_way: list[Scenario] = []

    @contextmanager
    def under_way(self, scenario: Scenario) -> Iterator[None]:
        with self._lock:
            self._under_way.append(scenario)
            self._report_newest()
        yield
        with self._lock:
            self._under_way.remove(scenario)
            self._done += 1
            self._report_newest()

    def waited(self, seconds: float) -> None:
        with self._lock:
            waiting = ", ".join(one.summary for one in self._under_way)
            self._progress(f"{seconds:.0f} s of waiting: {waiting}", self._done, self._total)

    def _report_newest(self) -> None:
        self._progress(self._under_way[-1].summary if self._under_way else "done", self._done, self._total)
