"""From observations to results: every check judges a case, and its findings become one result."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from streamgauge.conformance.cases import PLAIN, Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, not_applicable
from streamgauge.conformance.fixes import for_products
from streamgauge.conformance.permissions import FRAMING
from streamgauge.conformance.profile import Profile
from streamgauge.conformance.registry import Check
from streamgauge.conformance.requirement import Level
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.diagnosis.product import fixes_for, products, products_in, with_cause
from streamgauge.leaks import beginning
from streamgauge.protocol.dialects.choice import SETTLE

MAX_EVIDENCE: Final = 6
MAX_ACTUAL: Final = 1_000  # characters of `actual`, which may quote the endpoint
# These groups judge bytes, whatever the dialect is; of them, these checks also compare the text that was read.
_ANY_DIALECT: Final = frozenset({"http", "headers", "framing", "security"})
_COMPARE_TEXT: Final = frozenset({"framing.data-prefix-every-line", "framing.event-size-64k", "security.sse-injection"})
UNMET: Final = {Level.MUST: Verdict.FAIL, Level.SHOULD: Verdict.WARN, Level.MAY: Verdict.INFO}
"""The verdict of an unmet requirement. Only its level decides."""


def judge_case(case: Case, checks: Iterable[Check]) -> list[CheckResult]:
    """The result of every check, with the fixes for the products that the profile and the headers name, if any."""
    known = products_in(seen.head for seen in case.of(PLAIN)) | ({case.profile.name} & products().keys())
    return [for_products(_judge_one(case, check), known) for check in checks]


def _judge_one(case: Case, check: Check) -> CheckResult:
    found: list[tuple[Observed | None, Finding]]
    try:
        known = _beforehand(case, check) or _unreadable(case, check)
        found = [(None, known)] if known is not None else check.findings(_readable(case, check))
        _follow_the_level(check, [finding for _, finding in found])
        found = [(seen, _excused(finding, seen)) for seen, finding in found]
    except Exception as error:  # A crash in a check is our bug: report `error`, run the other checks.
        crash = Finding(Verdict.ERROR, f"the check itself failed: {type(error).__name__}: {printable(str(error))}")
        found = [(None, crash)]
    return _result(check, case, found)


def asks(case: Case, check: Check) -> bool:
    """Whether a check needs observations. If not, what is known of the endpoint already answers it."""
    return _beforehand(case, check) is None


def _beforehand(case: Case, check: Check) -> Finding | None:
    rule = case.profile.rule_for(check.id)
    if rule is not None and rule.level is None:
        return not_applicable(f"the profile {case.profile.name} leaves it out: {rule.why}")
    if reason := check.applies(case):
        return not_applicable(reason)
    if case.doubt is not None and (check.group not in _ANY_DIALECT or check.id in _COMPARE_TEXT):
        return inconclusive(case.doubt, SETTLE)
    return None


def _unreadable(case: Case, check: Check) -> Finding | None:
    """The reason why a check cannot judge: the heads of the answers leave the end of their bodies in doubt."""
    if check.judges_framing:
        return None
    observed = case.of(check.scenarios)
    # Without the first ordinary stream, there is nothing to compare the others with.
    broken = [seen for seen in (*case.of(("happy",)), *observed) if seen.broken_framing]
    first = broken[0] if broken else None
    if first is None or not (first.scenario == "happy" or len([*observed]) == len(broken)):
        return None
    return inconclusive(f"the body cannot be read: {first.broken_framing}", FRAMING)


def _readable(case: Case, check: Check) -> Case:
    """The case without the answers whose framing is broken."""
    if check.judges_framing or not any(seen.broken_framing for seen in case.observed):
        return case
    return replace(case, observed=[seen for seen in case.observed if not seen.broken_framing])


def _result(check: Check, case: Case, found: list[tuple[Observed | None, Finding]]) -> CheckResult:
    rule = check.requirement
    level, changed = _level(check, case.profile)
    ran = {seen.scenario for seen in case.observed}
    found = sorted(found, key=lambda pair: pair[1].rank)
    seen, top = found[0]
    statement = rule.statement
    if top.lesser:
        level, statement = level.below, rule.lesser or statement
    verdict = UNMET[level] if top.verdict is None else top.verdict
    same = [pair for pair in found[1:] if (pair[1].verdict, pair[1].lesser) == (top.verdict, top.lesser)]
    evidence = [item for _, finding in (found[0], *same) for item in finding.evidence][:MAX_EVIDENCE]
    actual = top.actual
    reported = verdict in (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
    if reported and (also := [other.label for other, _ in same if other is not None]):
        actual += f" (also in {', '.join(also)})"
    return CheckResult(
        id=rule.id,
        group=rule.group,
        verdict=verdict,
        level=level.value,
        severity=rule.severity.value,
        basis=rule.basis.value,
        statement=statement,
        actual=printable(beginning(actual, MAX_ACTUAL + 1), MAX_ACTUAL),
        expected=check.expected,
        evidence=evidence,
        reproduce=seen.curl or None if seen is not None else None,
        fix=rule.fix_for(top.cause),
        fixes=dict(fixes_for(with_cause(rule.id, top.cause))),
        cause=top.cause,
        references=list(rule.references),
        breaks=rule.breaks,
        needs=top.needs,
        scenarios=sorted(ran) if check.watches else [name for name in check.scenarios if name in ran],
        profile=changed,
    )


def _excused(finding: Finding, seen: Observed | None) -> Finding:
    """An objection becomes inconclusive where this run's own requests kept the endpoint from answering."""
    if finding.verdict is None and seen is not None and seen.crowded is not None and not seen.is_down:
        return inconclusive(f"{seen.label}: {seen.crowded}", "a run with --only for this check, on an idle endpoint")
    return finding


def _follow_the_level(check: Check, findings: Iterable[Finding]) -> None:
    """Raise ValueError when a finding chooses its own verdict, or is about a part or a cause that is not declared."""
    for finding in findings:
        if finding.verdict in (Verdict.FAIL, Verdict.WARN):
            raise ValueError(f"{check.id} chose the verdict {finding.verdict}: only the level decides")
        if finding.lesser and check.requirement.lesser is None:
            raise ValueError(f"the requirement {check.id} declares no lesser part")
        if finding.cause is not None and finding.cause not in check.requirement.causes:
            raise ValueError(f"the requirement {check.id} declares no cause {finding.cause}")


def _level(check: Check, profile: Profile) -> tuple[Level, str | None]:
    """The level of a check in a profile, and the change in words if there is one."""
    usual, rule = check.requirement.level, profile.rule_for(check.id)
    if rule is None or rule.level in (None, usual):
        return usual, None
    return rule.level, f"{usual} is {rule.level} in the profile {profile.name}: {rule.why}"
