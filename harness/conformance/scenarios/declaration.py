"""How a scenario is declared: in words, together with the function that makes its requests.

    @scenario(
        "gzip",
        "an ordinary stream by a browser on another site, which offers compression",
        concurrency=Concurrency.ALONE,
    )
    def gzip(run: ScenarioRunner) -> Iterator[Observed]:
        yield run.ask(headers={"Accept-Encoding": "gzip"})

Checks name the scenarios whose observations they judge. Each scenario runs once, however many checks read it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.permissions import MOCK, Allowed, OptIn
from streamgauge.conformance.scenarios.cost import ONE_REQUEST, Cost, CostOf
from streamgauge.conformance.scenarios.runner import ScenarioRunner


class Concurrency(StrEnum):
    """What may run at the same time as a scenario."""

    FIRST = "first"  # nothing: it runs before the others, and they run only if it got a stream
    SECOND = "second"  # nothing: it tells whether the endpoint serves two requests at once
    SHARED = "shared"  # other shared scenarios, and idle ones
    IDLE = "idle"  # everything: it waits for minutes and sends hardly anything
    ALONE = "alone"  # only idle ones: it measures time, or causes load
    LAST = "last"  # only idle ones, after everything else
    COSTLY = "costly"  # nothing: it runs after all others, because the server may still work on it for minutes


Requests = Callable[[ScenarioRunner], Iterator[Observed]]
"""Makes the requests of one scenario."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Scenario:
    """A kind of request; a scenario may make several, which `Observed.variant` tells apart.

    `mock`: the endpoint's upstream has to be the mock. `opt_in`: permissions without which it does not run.
    `opt_in_without_mock`: those that it needs besides where a real model answers. The mock's answers are free. `cost`
    is the most that its requests cost. `part_of`: the scenario whose requests also give the observations of this one.
    """

    name: str
    summary: str
    requests: Requests
    mock: bool = False
    opt_in: tuple[OptIn, ...] = ()
    opt_in_without_mock: tuple[OptIn, ...] = ()
    concurrency: Concurrency = Concurrency.SHARED
    cost: Cost | CostOf = ONE_REQUEST
    part_of: str | None = None

    def observe(self, run: ScenarioRunner) -> Iterator[Observed]:
        """Make its requests."""
        return self.requests(run._replace(scenario=self.name))

    def costs(self, allowed: Allowed) -> Cost:
        """What its requests cost at most, with these permissions. A part costs nothing beside its whole."""
        if self.part_of is not None:
            return Cost(0, 0, longest_s=0)
        return self.cost if isinstance(self.cost, Cost) else self.cost(allowed)

    def missing(self, *, mock: bool, allowed: frozenset[OptIn]) -> list[str]:
        """What the caller has to give before it can run; empty when it can."""
        missing = [MOCK] if self.mock and not mock else []
        wanted = self.opt_in if mock else (*self.opt_in, *self.opt_in_without_mock)
        return missing + [opt_in.value for opt_in in wanted if opt_in not in allowed]


class Part(NamedTuple):
    """A scenario without requests of its own: those of another one show it too. `opt_in` adds to the other's."""

    name: str
    summary: str
    opt_in: tuple[OptIn, ...] = ()


DECLARED: Final[dict[str, Scenario]] = {}
"""What has been declared so far. `streamgauge.conformance.scenarios.SCENARIOS` is the complete table."""


def scenario(
    name: str,
    summary: str,
    *,
    mock: bool = False,
    opt_in: tuple[OptIn, ...] = (),
    opt_in_without_mock: tuple[OptIn, ...] = (),
    concurrency: Concurrency = Concurrency.SHARED,
    cost: Cost | CostOf = ONE_REQUEST,
    parts: Sequence[Part] = (),
) -> Callable[[Requests], Requests]:
    """Declare a scenario, and the `parts` that its requests also show. Raises ValueError on a name that is taken."""

    def declare(requests: Requests) -> Requests:
        whole = Scenario(
            name=name,
            summary=summary,
            requests=requests,
            mock=mock,
            opt_in=opt_in,
            opt_in_without_mock=opt_in_without_mock,
            concurrency=concurrency,
            cost=cost,
        )
        _add(whole)
        for part in parts:
            own = (*opt_in, *part.opt_in)
            _add(replace(whole, name=part.name, summary=part.summary, opt_in=own, part_of=name))
        return requests

    return declare


def _add(declared: Scenario) -> None:
    if declared.name in DECLARED:
        raise ValueError(f"two scenarios are called {declared.name}")
    DECLARED[declared.name] = declared
