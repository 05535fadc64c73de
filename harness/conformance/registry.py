"""How a check is declared: a small function with a decorator that holds its requirement.

    @per_stream(
        Requirement(
            "framing.no-bom", MUST, Severity.HIGH, Basis.COMPAT,
            "No event stream begins with a byte order mark.",
            references=("WHATWG HTML 9.2.6, interpreting an event stream",),
            fix="Encode without a mark.",
        ),
        scenarios=PLAIN,
        applies=sse,
        expected="no U+FEFF",
    )
    def no_bom(seen: Observed, case: Case) -> Finding | None: ...

A per-stream check judges one observation at a time, and the worst finding counts. A whole-case check compares them.
`streamgauge.conformance.checks.CHECKS` is the table of all checks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streamgauge.conformance import wants as wanted
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.finding import Finding, inconclusive
from streamgauge.conformance.permissions import ENDS_WELL, LARGER_BUDGET, MOCK, STREAM, OptIn
from streamgauge.conformance.requirement import Requirement
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.protocol.outcome import Outcome

Applies = Callable[[Case], str | None]
PerStream = Callable[[Observed, Case], Finding | None]
WholeCase = Callable[[Case], Finding]
Wants = Callable[[Observed], bool]
Findings = Callable[[Case], list[tuple[Observed | None, Finding]]]


@dataclass(slots=True, frozen=True, kw_only=True)
class Check:
    """An implemented requirement.

    `scenarios` names the scenarios whose observations it judges; they run because of it. `watches`: it also judges the
    observations of all other scenarios, but none of them runs because of it. `broken_by` is how to see it fail, where
    the faults that name it do not show that. `judges_framing`: it also judges answers whose body could not be read,
    because their head leaves its end in doubt. No other check does: such an answer would fail most of them for one
    cause.
    """

    requirement: Requirement
    scenarios: tuple[str, ...]
    expected: str
    applies: Applies
    findings: Findings
    watches: bool = False
    broken_by: BrokenBy | None = None
    judges_framing: bool = False

    @property
    def id(self) -> str:
        return self.requirement.id

    @property
    def group(self) -> str:
        return self.requirement.group

    @property
    def needs_mock(self) -> bool:
        """None of its scenarios is possible without the mock."""
        return all(SCENARIOS[name].mock for name in self.scenarios)

    @property
    def opt_ins(self) -> list[OptIn]:
        """The permissions without which none of its scenarios runs."""
        return [one for one in OptIn if all(one in SCENARIOS[name].opt_in for name in self.scenarios)]

    @property
    def opt_ins_without_mock(self) -> list[OptIn]:
        """The permissions that it needs besides where a real model answers."""
        return [one for one in OptIn if all(one in SCENARIOS[name].opt_in_without_mock for name in self.scenarios)]


DECLARED: Final[dict[str, Check]] = {}
"""The checks of the modules that have been imported so far."""


def always(_case: Case) -> str | None:
    """Applies to every endpoint."""
    return None


def per_stream(
    requirement: Requirement,
    *,
    scenarios: Sequence[str],
    expected: str,
    applies: Applies = always,
    wants: Wants = wanted.event_stream,
    watches: bool = False,
    judges_framing: bool = False,
    broken_by: BrokenBy | None = None,
) -> Callable[[PerStream], PerStream]:
    """Declare a check of single observations. Those that `wants` refuses, or that give None, count for nothing."""

    def declare(function: PerStream) -> PerStream:
        def findings(case: Case) -> list[tuple[Observed | None, Finding]]:
            usable = [seen for seen in (case.observed if watches else case.of(scenarios)) if wants(seen)]
            found = [(seen, finding) for seen in usable if (finding := function(seen, case)) is not None]
            return list(found) or [(None, _nothing_to_judge(case, scenarios))]

        _register(
            function.__module__,
            Check(
                requirement=requirement,
                scenarios=tuple(scenarios),
                expected=expected,
                applies=applies,
                findings=findings,
                watches=watches,
                judges_framing=judges_framing,
                broken_by=broken_by,
            ),
        )
        return function

    return declare


def whole_case(
    requirement: Requirement,
    *,
    scenarios: Sequence[str],
    expected: str,
    applies: Applies = always,
    watches: bool = False,
    broken_by: BrokenBy | None = None,
    judges_framing: bool = False,
) -> Callable[[WholeCase], WholeCase]:
    """Declare a check that compares observations. It is called only when at least one of its scenarios ran."""

    def declare(function: WholeCase) -> WholeCase:
        def findings(case: Case) -> list[tuple[Observed | None, Finding]]:
            observed = case.observed if watches else case.of(scenarios)
            if not observed:
                return [(None, _nothing_to_judge(case, scenarios))]
            finding = function(case)
            quoted = finding.evidence[0].scenario if finding.evidence else None
            # The command that reproduces the finding is that of the observation which the evidence quotes.
            return [(next((one for one in observed if one.label == quoted), observed[0]), finding)]

        _register(
            function.__module__,
            Check(
                requirement=requirement,
                scenarios=tuple(scenarios),
                expected=expected,
                applies=applies,
                findings=findings,
                watches=watches,
                broken_by=broken_by,
                judges_framing=judges_framing,
            ),
        )
        return function

    return declare


def _register(module: str, check: Check) -> None:
    if check.id in DECLARED:
        raise ValueError(f"two checks are called {check.id}")
    # A group with many checks has several files, `errors.py` and `errors_upstream.py`.
    if not module.rpartition(".")[2].startswith(check.group.replace("-", "_")):
        raise ValueError(f"{check.id} does not belong into {module}")
    unknown = [name for name in check.scenarios if name not in SCENARIOS]
    if unknown or not check.scenarios:
        raise ValueError(f"{check.id} reads scenarios that do not exist: {', '.join(unknown) or 'none is named'}")
    DECLARED[check.id] = check


def _nothing_to_judge(case: Case, scenarios: Sequence[str]) -> Finding:
    observed = case.of(scenarios)
    if observed:
        outcomes = "; ".join(f"{one.label}: {one.how_it_went()}" for one in observed[:3])
        ends = [one.transcript.outcome for one in observed if one.streams]
        return inconclusive(f"nothing to judge in {outcomes}", ENDS_WELL if ends and Outcome.OK not in ends else STREAM)
    if (left_out := next((case.left_out[name] for name in scenarios if name in case.left_out), None)) is not None:
        return inconclusive(f"not tried: {left_out}", LARGER_BUDGET)
    if (limit := next((case.beyond_means[name] for name in scenarios if name in case.beyond_means), None)) is not None:
        return inconclusive(f"could not measure: {limit}", "more memory or descriptors for this machine, or --jobs 1")
    wanted = [SCENARIOS[name].missing(mock=case.has_mock, allowed=case.allowed) for name in scenarios]
    # A scenario that needs nothing has run and had nothing to show here, unless the time was over before.
    missing = [needs for needs in wanted if needs]
    if missing and (all(wanted) or not (case.out_of_time or case.dead_end)):
        needs = min(missing, key=len)  # of several scenarios, the one that needs the fewest permissions
        why = [opt_in.costs for opt_in in OptIn if opt_in in needs]
        if MOCK in needs:
            why.insert(0, "it takes control of the upstream")
        return inconclusive(f"not tried: {', and '.join(why)}", "; and ".join(needs))
    if case.dead_end is not None:
        return inconclusive(f"not tried: {case.dead_end}", "an endpoint that still answers: start it again")
    if case.out_of_time:
        return inconclusive("not tried: the time of the whole check was over", "--max-time DURATION")
    return inconclusive(f"not tried: no {' or '.join(scenarios)} request was made", STREAM)
