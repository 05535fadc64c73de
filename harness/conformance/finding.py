"""The finding of a check: a verdict, the observation in words, and the evidence for it."""

from collections.abc import Iterable
from typing import NamedTuple

from streamgauge.conformance.result import WORST_FIRST, Evidence, Verdict


class Finding(NamedTuple):
    """A check's answer. `verdict` None is an unmet requirement: its level decides the verdict.

    `needs` says what would make an inconclusive check testable.
    """

    verdict: Verdict | None
    actual: str
    evidence: tuple[Evidence, ...] = ()
    needs: str | None = None

    @property
    def rank(self) -> int:
        """0 is the worst; an unmet requirement ranks as a failure."""
        return WORST_FIRST.index(Verdict.FAIL if self.verdict is None else self.verdict)


def met(actual: str, *evidence: Evidence) -> Finding:
    return Finding(Verdict.PASS, actual, evidence)


def unmet(actual: str, *evidence: Evidence) -> Finding:
    """MUST fails, SHOULD warns, MAY informs."""
    return Finding(None, actual, evidence)


def fail(actual: str, *evidence: Evidence) -> Finding:
    """A failure whatever the level."""
    return Finding(Verdict.FAIL, actual, evidence)


def warn(actual: str, *evidence: Evidence) -> Finding:
    """A warning whatever the level."""
    return Finding(Verdict.WARN, actual, evidence)


def info(actual: str, *evidence: Evidence) -> Finding:
    """Information whatever the level."""
    return Finding(Verdict.INFO, actual, evidence)


def not_applicable(why: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, why)


def inconclusive(why: str, needs: str) -> Finding:
    """Not testable with the observations there are; `needs` says what would make it testable."""
    return Finding(Verdict.INCONCLUSIVE, why, (), needs)


def worst(findings: Iterable[Finding], otherwise: Finding) -> Finding:
    """The most severe of several findings about one thing; `otherwise` when there are none."""
    return min(findings, key=lambda finding: finding.rank, default=otherwise)
