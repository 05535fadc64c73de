"""The table of scenarios: each declared once, with the code that makes its requests."""

from collections.abc import Iterator

import pytest

from streamgauge.conformance.cases import PLAIN, Observed
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.runner import ScenarioRunner


def nothing(_run: ScenarioRunner) -> Iterator[Observed]:
    yield from ()


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="two scenarios are called happy"):
        scenario("happy", "x")(nothing)
    assert SCENARIOS["happy"].requests is not nothing


def test_one_scenario_comes_first_and_its_like_before_all_that_come_last() -> None:
    when = {one.concurrency: one.name for one in reversed(SCENARIOS.values()) if one.concurrency in ("first", "last")}

    assert when == {Concurrency.FIRST: PLAIN[0], Concurrency.LAST: PLAIN[1]}
    assert next(iter(SCENARIOS)) == PLAIN[0]


def test_a_part_needs_what_the_whole_needs() -> None:
    """Its observations come from the requests of the whole."""
    for part in SCENARIOS.values():
        if part.part_of is not None:
            whole = SCENARIOS[part.part_of]
            assert whole.part_of is None
            assert (part.mock, part.concurrency, part.requests) == (whole.mock, whole.concurrency, whole.requests)
            assert set(part.opt_in) >= set(whole.opt_in)
    assert SCENARIOS["second-user"].opt_in == (OptIn.LOAD, OptIn.SECOND_KEY)
