"""What fails a run: severities, baselines, and what a baseline becomes."""

import pytest

from streamgauge.conformance.gate import Accepted, FailOn, apply_baseline, parse_fail_on, renewed
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.errors import UsageError
from tests.reports.report_builders import check

FAILED = check("bad", Verdict.FAIL, severity="medium")
WARNED = check("soft", Verdict.WARN, severity="high")
BROKEN = check("broken", Verdict.ERROR, severity="low")
MET = check("good", Verdict.PASS)
TOLD = check("fact", Verdict.INFO, severity="critical")
OPEN = check("open", Verdict.INCONCLUSIVE)
ALL = [FAILED, WARNED, BROKEN, MET, TOLD, OPEN]


@pytest.mark.parametrize(
    ("words", "failing"),
    [
        ([], {FAILED.id, BROKEN.id}),
        (["fail"], {FAILED.id, BROKEN.id}),
        (["warn"], {FAILED.id, WARNED.id, BROKEN.id}),
        (["critical"], {BROKEN.id}),
        (["high"], {WARNED.id, BROKEN.id}),
        (["Medium"], {FAILED.id, WARNED.id, BROKEN.id}),
        (["fail,high"], {FAILED.id, WARNED.id, BROKEN.id}),
        (["fail", "critical"], {FAILED.id, BROKEN.id}),
        (["never"], set()),
    ],
)
def test_the_rule_says_what_fails(words: list[str], failing: set[str]) -> None:
    """A severity takes failures and warnings alike; a check that broke is never a pass; facts never fail."""
    assert set(apply_baseline(ALL, parse_fail_on(words)).failing) == failing


@pytest.mark.parametrize("words", [["hgih"], ["never,fail"], ["pass"]])
def test_a_rule_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="is not a rule"):
        parse_fail_on(words)


def test_what_is_accepted_does_not_fail_and_what_is_met_is_stale() -> None:
    baseline = [Accepted(check=one.id) for one in (FAILED, MET, TOLD, OPEN)]

    standing = apply_baseline(ALL, FailOn(), baseline)

    assert standing.accepted == [FAILED.id]
    assert standing.failing == [BROKEN.id]
    assert standing.stale == sorted([MET.id, TOLD.id])


@pytest.mark.parametrize(("target", "counts"), [(None, True), ("one", True), ("http://a/", True), ("two", False)])
def test_an_entry_speaks_of_its_target(target: str | None, counts: bool) -> None:
    standing = apply_baseline([FAILED, MET], FailOn(), [Accepted(check=FAILED.id, target=target)], ["one", "http://a/"])

    assert (standing.accepted == [FAILED.id]) is counts


def test_an_accepted_warning_does_not_accept_a_failure() -> None:
    entry = Accepted(check=FAILED.id, verdict="warn")

    assert apply_baseline([FAILED], FailOn(), [entry]).failing == [FAILED.id]
    assert apply_baseline([check("bad", Verdict.WARN)], parse_fail_on(["warn"]), [entry]).accepted == [FAILED.id]


def test_a_check_that_broke_cannot_be_accepted() -> None:
    assert apply_baseline([BROKEN], FailOn(), [Accepted(check=BROKEN.id)]).failing == [BROKEN.id]


def renew(baseline: list[Accepted], results: list[CheckResult], *words: str) -> list[Accepted]:
    return renewed(baseline, ["one", "http://a/"], results, parse_fail_on(words))


def test_a_renewed_baseline_accepts_what_fails_and_drops_what_is_met() -> None:
    reason = Accepted(check=FAILED.id, target="one", reason="known since May")
    others = [Accepted(check=MET.id, target="two"), Accepted(check=OPEN.id, target="one")]
    met = Accepted(check=MET.id, target="http://a/")

    assert renew([reason, *others, met], ALL) == [reason, *others]
    assert renew([], ALL, "warn") == [
        Accepted(check=FAILED.id, target="one"),
        Accepted(check=WARNED.id, target="one", verdict="warn"),
    ]


def test_what_was_accepted_everywhere_is_accepted_by_name_once_a_target_meets_it() -> None:
    everywhere = [Accepted(check=FAILED.id)]
    fixed = check("bad", Verdict.PASS)

    after_one = renew(everywhere, [fixed])

    assert after_one == []
    assert renewed(after_one, ["two"], [FAILED], FailOn()) == [Accepted(check=FAILED.id, target="two")]


def test_a_renewed_baseline_leaves_nothing_to_fail() -> None:
    rule = parse_fail_on(["low"])
    results = [FAILED, WARNED, MET, TOLD, OPEN]

    standing = apply_baseline(results, rule, renew([Accepted(check=MET.id)], results, "low"), ["one"])

    assert (standing.failing, standing.stale) == ([], [])
