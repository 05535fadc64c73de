"""One rule for every check: an unmet MUST fails the run, an unmet SHOULD warns, an unmet MAY is information."""

from dataclasses import replace

import pytest

from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.finding import Finding, lesser, unmet
from streamgauge.conformance.gate import FailOn, apply_baseline, parse_fail_on
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.profile import PLAIN, Profile
from streamgauge.conformance.profiles import PROFILES
from streamgauge.conformance.registry import Check, always
from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Level
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.reports.text import md
from tests.builders.together import together
from tests.harness.conformance.examples import EXAMPLES, judged, named
from tools.checks_page import page

RULE = {MUST: Verdict.FAIL, SHOULD: Verdict.WARN, MAY: Verdict.INFO}
HAVE_A_LESSER_PART = [check for check in CHECKS.values() if check.requirement.lesser]


def found(check: Check, finding: Finding, profile: Profile = PLAIN) -> CheckResult:
    """The result of a check whose function returns `finding`."""
    saying = replace(check, applies=always, findings=lambda _case: [(None, finding)])
    (result,) = judge_case(Case(profile=profile), [saying])
    return result


def fails(result: CheckResult, rule: FailOn) -> bool:
    return bool(apply_baseline([result], rule).failing)


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_the_level_of_a_check_decides_what_an_unmet_requirement_does(check: Check) -> None:
    result = found(check, unmet("it does not hold"))

    level = check.requirement.level
    assert (result.level, result.verdict) == (level, RULE[level])
    assert fails(result, FailOn()) == (level is MUST)
    assert fails(result, parse_fail_on(["warn"])) == (level in (MUST, SHOULD))


@pytest.mark.parametrize("check", HAVE_A_LESSER_PART, ids=lambda check: check.id)
def test_the_lesser_part_of_a_requirement_binds_one_level_less(check: Check) -> None:
    result = found(check, lesser("a part of it does not hold"))

    below = SHOULD if check.requirement.level is MUST else MAY
    assert (result.level, result.verdict) == (below, RULE[below])
    assert result.statement == check.requirement.lesser
    assert not fails(result, FailOn())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_profile_changes_the_level_and_nothing_else(profile: Profile) -> None:
    for check in CHECKS.values():
        rule = profile.rule_for(check.id)
        result = found(check, unmet("it does not hold"), profile)
        if rule is not None and rule.level is None:
            assert result.verdict is Verdict.NOT_APPLICABLE
        else:
            level = check.requirement.level if rule is None else rule.level
            assert (result.level, result.verdict) == (level, RULE[level]), check.id


def test_the_verdicts_of_real_findings_fit_their_level() -> None:
    with together() as case:
        for example in EXAMPLES:
            with case(f"{example.check}: {named(example)}"):
                _, result = judged(example)
                assert result.verdict not in (Verdict.FAIL, Verdict.WARN) or result.verdict is RULE[Level(result.level)]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.WARN])
def test_a_check_that_chooses_its_own_verdict_is_an_error_of_ours(verdict: Verdict) -> None:
    result = found(CHECKS["http.status-200"], Finding(verdict, "mine"))

    assert result.verdict is Verdict.ERROR
    assert "only the level decides" in result.actual


def test_an_undeclared_lesser_part_is_an_error_of_ours() -> None:
    result = found(CHECKS["http.bad-json-400"], lesser("mine"))

    assert result.verdict is Verdict.ERROR
    assert "declares no lesser part" in result.actual


def test_the_documentation_says_what_each_level_does() -> None:
    text = page()

    assert all(f"- unmet, a **{level}** {level.unmet}" in text for level in Level)
    assert all(f"- Its lesser part: {md(check.requirement.lesser or '')}" in text for check in HAVE_A_LESSER_PART)
