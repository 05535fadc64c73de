"""How a check is declared, and how its findings become one result.

A check is a small function with a decorator that holds its requirement and names the scenarios it reads:

    @per_stream(
        Requirement(
            "framing.no-bom", MUST, Severity.HIGH, Basis.COMPAT,
            "No event stream begins with a byte order mark.",
            references=("WHATWG HTML 9.2.6, interpreting an event stream",),
            fix="Encode without a mark.",
        ),
        reads=PLAIN,
        applies=sse,
        expected="no U+FEFF",
    )
    def no_bom(seen: Observed, case: Case) -> Finding | None: ...

Per-stream checks see one observation at a time and the worst finding wins; whole-case checks see all of them.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from streamgauge.conformance.cases import Case, Observed, printable
from streamgauge.conformance.declared_scenarios import MOCK, PLAIN, SCENARIOS, STREAM
from streamgauge.conformance.fixes import for_products
from streamgauge.conformance.guesses import SETTLE
from streamgauge.conformance.leaks import mask
from streamgauge.conformance.optins import OptIn
from streamgauge.conformance.profiles import Profile
from streamgauge.conformance.requirement import GROUPS, Level, Requirement
from streamgauge.conformance.result import WORST_FIRST, CheckResult, Evidence, Verdict
from streamgauge.diagnosis.product import fixes_for, products, products_in
from streamgauge.errors import UsageError

MAX_EVIDENCE: Final = 6
MAX_ACTUAL: Final = 1_000  # characters; what a check says may quote the endpoint
# What these demand is seen in bytes, whatever dialect they are in.
_WHATEVER_DIALECT: Final = frozenset({"http", "headers", "framing", "resume", "limits", "security"})
_BY_LEVEL: Final = {Level.MUST: Verdict.FAIL, Level.SHOULD: Verdict.WARN, Level.MAY: Verdict.INFO}


class Finding(NamedTuple):
    """What a check says of what it saw. `verdict` None is an unmet requirement, judged by its level."""

    verdict: Verdict | None
    actual: str
    evidence: tuple[Evidence, ...] = ()
    needs: str | None = None


def met(actual: str, *evidence: Evidence) -> Finding:
    return Finding(Verdict.PASS, actual, evidence)


def unmet(actual: str, *evidence: Evidence) -> Finding:
    """MUST fails, SHOULD warns, MAY informs."""
    return Finding(None, actual, evidence)


def fail(actual: str, *evidence: Evidence) -> Finding:
    """A failure whatever the level."""
    return Finding(Verdict.FAIL, actual, evidence)


def warn(actual: str, *evidence: Evidence) -> Finding:
    return Finding(Verdict.WARN, actual, evidence)


def info(actual: str, *evidence: Evidence) -> Finding:
    return Finding(Verdict.INFO, actual, evidence)


def not_applicable(why: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, why)


def inconclusive(why: str, needs: str) -> Finding:
    """Not testable with what there is; `needs` says what would make it so."""
    return Finding(Verdict.INCONCLUSIVE, why, (), needs)


def worst(findings: Iterable[Finding], otherwise: Finding) -> Finding:
    """The most severe of several findings about one thing; `otherwise` when there are none."""
    ranked = sorted(findings, key=lambda finding: _rank(finding.verdict))
    return ranked[0] if ranked else otherwise


def _rank(verdict: Verdict | None) -> int:
    return WORST_FIRST.index(Verdict.FAIL if verdict is None else verdict)


Applies = Callable[[Case], str | None]
PerStream = Callable[[Observed, Case], Finding | None]
WholeCase = Callable[[Case], Finding]
Wants = Callable[[Observed], bool]


@dataclass(slots=True, frozen=True)
class Check:
    """An implemented requirement."""

    requirement: Requirement
    reads: tuple[str, ...]
    expected: str
    applies: Applies
    findings: Callable[[Case], list[tuple[Observed | None, Finding]]]

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def group(self) -> str:
        return self.requirement.group

    @property
    def needs_mock(self) -> bool:
        """None of its scenarios is possible without the mock."""
        return all(SCENARIOS[name].mock for name in self.reads)

    @property
    def opt_ins(self) -> list[OptIn]:
        """The permissions without which none of its scenarios is played."""
        return [one for one in OptIn if all(one in SCENARIOS[name].opt_in for name in self.reads)]


CHECKS: Final[dict[str, Check]] = {}


def always(_case: Case) -> str | None:
    """Applies to every endpoint."""
    return None


def is_event_stream(seen: Observed) -> bool:
    return seen.is_event_stream


def succeeded(seen: Observed) -> bool:
    """A stream of events or lines without an error in it: what a success owes is not owed then."""
    return seen.streams and not seen.failed_by_error


def per_stream(
    requirement: Requirement,
    *,
    reads: Sequence[str],
    expected: str,
    applies: Applies = always,
    wants: Wants = is_event_stream,
) -> Callable[[PerStream], PerStream]:
    """Declare a check of single observations; those that `wants` refuses, or that give None, say nothing."""

    def declare(function: PerStream) -> PerStream:
        def findings(case: Case) -> list[tuple[Observed | None, Finding]]:
            usable = [seen for seen in case.of(reads) if wants(seen)]
            found = [(seen, finding) for seen in usable if (finding := function(seen, case)) is not None]
            return list(found) or [(None, _nothing_seen(case, reads))]

        _register(function.__module__, requirement, tuple(reads), expected, applies, findings)
        return function

    return declare


def whole_case(
    requirement: Requirement, *, reads: Sequence[str], expected: str, applies: Applies = always
) -> Callable[[WholeCase], WholeCase]:
    """Declare a check that compares observations; it is called only when one of its scenarios was run."""

    def declare(function: WholeCase) -> WholeCase:
        def findings(case: Case) -> list[tuple[Observed | None, Finding]]:
            seen = case.of(reads)
            if not seen:
                return [(None, _nothing_seen(case, reads))]
            finding = function(case)
            shown = finding.evidence[0].scenario if finding.evidence else None
            # What is reproduced is what the evidence quotes.
            return [(next((one for one in seen if one.label == shown), seen[0]), finding)]

        _register(function.__module__, requirement, tuple(reads), expected, applies, findings)
        return function

    return declare


def _register(
    module: str,
    requirement: Requirement,
    reads: tuple[str, ...],
    expected: str,
    applies: Applies,
    findings: Callable[[Case], list[tuple[Observed | None, Finding]]],
) -> None:
    check_id = requirement.id
    if check_id in CHECKS:
        raise ValueError(f"two checks are called {check_id}")
    # A group with many checks has several files, `errors.py` and `errors_upstream.py`.
    if not module.rpartition(".")[2].startswith(requirement.group.replace("-", "_")):
        raise ValueError(f"{check_id} does not belong into {module}")
    unknown = [name for name in reads if name not in SCENARIOS]
    if unknown or not reads:
        raise ValueError(f"{check_id} reads scenarios that do not exist: {', '.join(unknown) or 'none is named'}")
    CHECKS[check_id] = Check(requirement, reads, expected, applies, findings)


def _nothing_seen(case: Case, reads: Sequence[str]) -> Finding:
    seen = case.of(reads)
    if seen:
        went = "; ".join(f"{one.label}: {one.how_it_went()}" for one in seen[:3])
        return inconclusive(f"nothing to judge in {went}", STREAM)
    mock = case.has_mock
    missing = [SCENARIOS[name].missing(mock=mock, allowed=case.allowed) for name in reads]
    if missing and all(missing):
        needs = min(missing, key=len)  # the way that asks least
        why = [opt_in.costs for opt_in in OptIn if opt_in in needs]
        if MOCK in needs:
            why.insert(0, "it takes control of the upstream")
        return inconclusive(f"not tried: {', and '.join(why)}", "; and ".join(needs))
    return inconclusive(f"not tried: no {' or '.join(reads)} request was made", STREAM)


def select(only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Check]:
    """The checks whose id or group matches `only` (all when empty) and not `skip`, in the order of GROUPS.

    Raises UsageError on a pattern that matches none.
    """
    groups = list(GROUPS)
    ordered = sorted(CHECKS.values(), key=lambda check: groups.index(check.group))
    for pattern in (*only, *skip):
        if not any(_matches(check, pattern) for check in ordered):
            names = [*CHECKS, *{check.group for check in ordered}]
            near = difflib.get_close_matches(pattern, names, n=1)
            raise UsageError(
                f"no check matches {pattern!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
                "give an id, a group or a glob such as 'framing.*'; --list prints them all",
            )
    return [
        check
        for check in ordered
        if (not only or any(_matches(check, pattern) for pattern in only))
        and not any(_matches(check, pattern) for pattern in skip)
    ]


def _matches(check: Check, pattern: str) -> bool:
    return check.group == pattern or fnmatchcase(check.id, pattern)


def judge_case(case: Case, checks: Iterable[Check]) -> list[CheckResult]:
    """Every check's answer, with the fixes for the products that the profile and the headers name, if any."""
    known = products_in(seen.head for seen in case.of(PLAIN)) | ({case.profile.name} & products().keys())
    return [for_products(_judge_one(case, check), known) for check in checks]


def _judge_one(case: Case, check: Check) -> CheckResult:
    try:
        said = _beforehand(case, check)
        found: list[tuple[Observed | None, Finding]] = [(None, said)] if said is not None else check.findings(case)
    except Exception as error:  # whatever a hostile endpoint provoked is ours, and must not hide the other checks
        ours = Finding(Verdict.ERROR, f"the check itself failed: {type(error).__name__}: {printable(str(error))}")
        found = [(None, ours)]
    return _result(check, case.profile, found)


def asks(case: Case, check: Check) -> bool:
    """Whether a check needs observations, or is answered by what is known of the endpoint."""
    return _beforehand(case, check) is None


def _beforehand(case: Case, check: Check) -> Finding | None:
    rule = case.profile.rule_for(check.id)
    if rule is not None and rule.level is None:
        return not_applicable(f"the profile {case.profile.name} leaves it out: {rule.why}")
    if reason := check.applies(case):
        return not_applicable(reason)
    if case.doubt is not None and check.group not in _WHATEVER_DIALECT:
        return inconclusive(case.doubt, SETTLE)
    return None


def _result(check: Check, profile: Profile, found: list[tuple[Observed | None, Finding]]) -> CheckResult:
    rule = check.requirement
    level, changed = _level(check, profile)
    found = sorted(found, key=lambda pair: _rank(pair[1].verdict))
    seen, top = found[0]
    verdict = _BY_LEVEL[level] if top.verdict is None else top.verdict
    if changed is not None and level is not Level.MUST and verdict in (Verdict.FAIL, Verdict.WARN):
        # A check may be harder on some cases than its level; a profile that is lenient means those too.
        verdict = max(verdict, _BY_LEVEL[level], key=WORST_FIRST.index)
    same = [pair for pair in found[1:] if pair[1].verdict == top.verdict]
    evidence = [item for _, finding in (found[0], *same) for item in finding.evidence][:MAX_EVIDENCE]
    actual = top.actual
    told = verdict in (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
    if told and (also := [other.label for other, _ in same if other is not None]):
        actual += f" (also in {', '.join(also)})"
    return CheckResult(
        id=rule.id,
        group=rule.group,
        verdict=verdict,
        level=level.value,
        severity=rule.severity.value,
        basis=rule.basis.value,
        statement=rule.statement,
        actual=mask(printable(actual, MAX_ACTUAL)),
        expected=check.expected,
        evidence=evidence,
        reproduce=seen.curl or None if seen is not None else None,
        fix=rule.fix,
        fixes=dict(fixes_for(rule.id)),
        references=list(rule.references),
        breaks=rule.breaks,
        needs=top.needs,
        profile=changed,
    )


def _level(check: Check, profile: Profile) -> tuple[Level, str | None]:
    """The level of a check in a profile, and the change in words if there is one."""
    usual, rule = check.requirement.level, profile.rule_for(check.id)
    if rule is None or rule.level in (None, usual):
        return usual, None
    return rule.level, f"{usual} is {rule.level} in the profile {profile.name}: {rule.why}"


def failed(results: Iterable[CheckResult], *, strict: bool) -> list[CheckResult]:
    """The results that make a run fail: under `strict` warnings too. A check that broke is never a pass."""
    bad = {Verdict.FAIL, Verdict.ERROR} | ({Verdict.WARN} if strict else set())
    return [result for result in results if result.verdict in bad]
