"""A declaration that is wrong is refused when its module is imported, so that it can't be shipped."""

from typing import Any

import pytest

from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.finding import Finding, met
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity


def requirement(check_id: str = "framing.something-new", **changes: Any) -> Requirement:
    given: dict[str, Any] = {"statement": "It holds.", "references": ("A standard",), "fix": "Do it."} | changes
    return Requirement(check_id, MUST, Severity.LOW, Basis.SPEC, given.pop("statement"), **given)


def declare(
    rule: Requirement, *, module: str = "streamgauge.conformance.checks.framing", scenarios: Any = ("happy",)
) -> None:
    """What the decorator does to a check of that module."""

    def check(_seen: Observed, _case: Case) -> Finding:
        return met("it holds")

    check.__module__ = module
    per_stream(rule, scenarios=scenarios, expected="it")(check)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"check_id": "something-new"}, "is not a check id"),
        ({"check_id": "nonsense.something-new"}, "is not a check id"),
        ({"check_id": "framing.Something_new"}, "is not a check id"),
        ({"references": ()}, "references"),
        ({"references": ("",)}, "references"),
        ({"references": "A standard"}, "references"),
        ({"statement": ""}, "statement of framing.something-new is not a sentence"),
        ({"statement": "no full stop"}, "statement of framing.something-new is not a sentence"),
        ({"fix": ""}, "fix of framing.something-new is not a sentence"),
    ],
)
def test_a_requirement_is_complete(bad: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        requirement(**bad)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"rule": CHECKS["framing.no-bom"].requirement}, "two checks are called framing.no-bom"),
        ({"rule": requirement(), "module": "streamgauge.conformance.checks.text"}, "does not belong into"),
        ({"rule": requirement(), "scenarios": ("happy", "unheard-of")}, "scenarios that do not exist: unheard-of"),
        ({"rule": requirement(), "scenarios": ()}, "none is named"),
    ],
)
def test_a_check_is_declared_once_where_it_belongs(bad: dict[str, Any], complaint: str) -> None:
    before = dict(CHECKS)

    with pytest.raises(ValueError, match=complaint):
        declare(**bad)

    assert before == CHECKS


def test_a_check_of_the_whole_case_is_refused_alike() -> None:
    with pytest.raises(ValueError, match="does not belong into"):
        whole_case(requirement(), scenarios=("happy",), expected="it")(lambda _case: met("it holds"))
