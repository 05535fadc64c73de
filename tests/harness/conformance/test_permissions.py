"""What the caller has to allow, and what is said of a check whose scenarios were not allowed."""

import pytest

from streamgauge.conformance.permissions import MOCK, NOTHING, Allowed, OptIn
from streamgauge.conformance.scenarios.declaration import Scenario


def test_nothing_is_allowed_unless_it_is_said() -> None:
    """The default forbids everything, and each permission is its own."""
    assert NOTHING.opt_ins == frozenset()
    assert Allowed(long_ns=1).opt_ins == {OptIn.LONG}
    assert Allowed(streams=2, second_key="k").opt_ins == {OptIn.LOAD, OptIn.SECOND_KEY}


def test_a_second_key_is_in_no_representation() -> None:
    """A traceback or a debugger's print shows no credential."""
    assert "very-secret" not in repr(Allowed(second_key="very-secret"))


@pytest.mark.parametrize(
    ("mock", "allowed", "missing"),
    [
        (True, {OptIn.LONG, OptIn.LOAD}, []),
        (True, {OptIn.LONG}, ["--allow-load"]),
        (False, {OptIn.LOAD}, [MOCK, "--long"]),
        (False, set(), [MOCK, "--long", "--allow-load"]),
    ],
)
def test_a_scenario_says_what_it_misses(mock: bool, allowed: set[OptIn], missing: list[str]) -> None:
    """Each flag by its name, and nothing that was given."""
    scenario = Scenario(
        name="x", summary="x", requests=lambda _run: iter(()), mock=True, opt_in=(OptIn.LONG, OptIn.LOAD)
    )

    assert scenario.missing(mock=mock, allowed=frozenset(allowed)) == missing
