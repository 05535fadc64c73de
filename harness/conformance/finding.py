"""The finding of a check: a verdict, the observation in words, and the evidence for it."""

from collections.abc import Iterable
from typing import NamedTuple

from streamgauge.conformance.result import WORST_FIRST, Evidence, Verdict


class Finding(NamedTuple):
    """A check's answer. `verdict` None is an unmet requirement: only its level decides the verdict.

    `cause` names the one of `Requirement.causes` that was found, whose fix is shown in place of the general one.
    `lesser`: only the lesser part of the requirement is unmet, which binds one level less. `needs` says what would make
    an inconclusive check testable.
    """

    verdict: Verdict | None
    actual: str
    evidence: tuple[Evidence, ...] = ()
    needs: str | None = None
    lesser: bool = False
    cause: str | None = None

    @property
    def rank(self) -> int:
        """0 is the worst; an unmet requirement ranks as a failure, its lesser part as a warning."""
        unmet_rank = Verdict.WARN if self.lesser else Verdict.FAIL
        return WORST_FIRST.index(unmet_rank if self.verdict is None else self.verdict)


def met(actual: str, *evidence: Evidence) -> Finding:
    return Finding(Verdict.PASS, actual, evidence)


def unmet(actual: str, *evidence: Evidence, cause: str | None = None) -> Finding:
    """An unmet MUST fails the run, an unmet SHOULD warns, an unmet MAY is information. No check decides otherwise."""
    return Finding(None, actual, evidence, cause=cause)


def lesser(actual: str, *evidence: Evidence, cause: str | None = None) -> Finding:
    """Only `Requirement.lesser` is unmet: that of a MUST warns, that of a SHOULD is information."""
    return Finding(None, actual, evidence, lesser=True, cause=cause)


def info(actual: str, *evidence: Evidence) -> Finding:
    """The requirement is met, and something is worth knowing."""
    return Finding(Verdict.INFO, actual, evidence)


def not_applicable(why: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, why)


def inconclusive(why: str, needs: str) -> Finding:
    """Not testable with the observations there are; `needs` says what would make it testable."""
    return Finding(Verdict.INCONCLUSIVE, why, (), needs)


def worst(findings: Iterable[Finding], otherwise: Finding) -> Finding:
    """The most severe of several findings about one thing; `otherwise` when there are none."""
    return min(findings, key=lambda finding: finding.rank, default=otherwise)
