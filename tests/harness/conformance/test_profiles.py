"""Profiles: what they change, that each change has a reason, and that a result says so."""

import json

import msgspec
import pytest

from streamgauge.conformance import profiles
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.profile import PLAIN, Profile, Rule
from streamgauge.conformance.profiles import PROFILES
from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Level
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.errors import UsageError
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect
from tests.harness.conformance.tapes import Example, Tape, chunk
from tests.harness.conformance.tapes_dialects import chat

SHARED = chat(chunk("a"), chunk("b", finish="stop"), "[DONE]")  # text beside the reason: a warning of a MUST
BROKEN = chat(chunk("a"), chunk(None, finish="because"), "[DONE]")


def judged(body: bytes, check: str, profile: Profile) -> CheckResult:
    case = Example(check, Verdict.PASS, (Tape(body=body),)).case()
    case.profile = profile
    (result,) = judge_case(case, [CHECKS[check]])
    return result


def test_the_profiles_are_those_of_the_documentation() -> None:
    wanted = "openai azure mistral openresponses anthropic gemini ollama cohere aspnet proxy plain"
    assert PROFILES.keys() >= set(wanted.split())
    assert all(profile.name == name and profile.summary for name, profile in PROFILES.items())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_rule_changes_something_and_says_why(profile: Profile) -> None:
    for rule in profile.rules:
        matching = [check for check in CHECKS.values() if profile.rule_for(check.id) is rule]
        assert matching, f"{rule.pattern} matches no check"
        assert any(check.requirement.level != rule.level for check in matching), f"{rule.pattern} is so already"
        assert len(rule.why) > 20


@pytest.mark.parametrize("dialect", dialects.DIALECTS, ids=lambda dialect: dialect.name)
def test_a_dialect_has_a_profile(dialect: Dialect) -> None:
    profile = profiles.of_dialect(dialect)
    assert (profile is PLAIN) == (dialect.vendor is None)


def test_a_vendor_that_no_module_of_checks_knows_gets_a_profile_without_rules() -> None:
    found = list(profiles.of_vendors([dialects.by_name("cohere")], {}))

    assert found == [Profile("cohere", "Cohere's Chat")]


def test_a_shape_of_no_vendor_has_the_profile_of_its_server() -> None:
    shape = dialects.by_name("event-json")
    assert profiles.of_dialect(shape, {"nginx", "aspnet"}).name == "aspnet"
    assert profiles.of_dialect(shape, {"nginx"}) is PLAIN
    assert profiles.of_dialect(None, {"aspnet"}) is PLAIN
    assert profiles.of_dialect(dialects.by_name("anthropic"), {"aspnet"}).name == "anthropic"


def test_without_a_dialect_requirements_are_as_they_stand() -> None:
    assert profiles.of_dialect(None) is PLAIN
    assert PLAIN.rules == ()


@pytest.mark.parametrize(
    ("level", "body", "verdict"),
    [
        (MUST, BROKEN, Verdict.FAIL),
        (SHOULD, BROKEN, Verdict.WARN),
        (MAY, BROKEN, Verdict.INFO),
        (MUST, SHARED, Verdict.WARN),
        (SHOULD, SHARED, Verdict.INFO),
        (MAY, SHARED, Verdict.INFO),
        (None, BROKEN, Verdict.NOT_APPLICABLE),
    ],
)
def test_the_level_of_a_profile_decides_the_verdict(level: Level | None, body: bytes, verdict: Verdict) -> None:
    profile = Profile("mine", "a test", (Rule("openai-chat.*", level, "because it is a test"),))

    result = judged(body, "openai-chat.finish-reason", profile)

    assert result.verdict is verdict
    assert (result.profile is None) == (level in (MUST, None))


def test_a_result_says_what_its_profile_changed() -> None:
    result = judged(SHARED, "openai-chat.finish-reason", PROFILES["mistral"])

    assert (result.level, result.verdict) == ("MAY", Verdict.INFO)
    assert result.profile is not None
    assert result.profile.startswith("MUST is MAY in the profile mistral: ")
    assert json.loads(msgspec.json.encode(result))["profile"] == result.profile


def test_what_a_profile_leaves_out_says_who_left_it_out() -> None:
    result = judged(SHARED, "http.validation-before-stream", PROFILES["ollama"])

    assert result.verdict is Verdict.NOT_APPLICABLE
    assert result.actual.startswith("the profile ollama leaves it out: ")


def test_the_last_rule_that_matches_counts() -> None:
    rules = (Rule("a.*", MAY, "first"), Rule("a.b", None, "second"))
    found = Profile("mine", "a test", rules).rule_for("a.b")
    assert found is not None
    assert found.why == "second"


def test_an_unknown_profile_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="unknown profile 'mistal'") as caught:
        profiles.by_name("mistal")
    assert "did you mean 'mistral'?" in caught.value.message
    assert "aspnet" in (caught.value.hint or "")
