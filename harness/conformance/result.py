"""Verdicts and what stands behind them. Four axes are kept apart: verdict, level, severity, basis."""

from enum import StrEnum
from typing import Final

import msgspec

from harness.conformance.requirement import STACKS

SCHEMA: Final = 1


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    INFO = "info"
    NOT_APPLICABLE = "not-applicable"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


WORST_FIRST: Final = (
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.WARN,
    Verdict.INFO,
    Verdict.PASS,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_APPLICABLE,
)


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where it was seen: the scenario, the byte offset in the decoded body, and the bytes there (escaped, bounded).

    `mark` is the character of the excerpt that shows the byte at the offset, `arrival_ns` when that byte had arrived,
    from the start of its request.
    """

    scenario: str
    note: str | None = None
    offset: int | None = None
    excerpt: str | None = None
    arrival_ns: int | None = None
    mark: int | None = None


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One check's answer, with all that a reader needs to believe it and to act on it.

    `needs` says what would make an inconclusive check testable; `reproduce` is a command line with secrets masked;
    `fixes` holds beside the general `fix` what to paste, by stack.
    """

    id: str
    group: str
    verdict: Verdict
    level: str
    severity: str
    basis: str
    statement: str
    actual: str
    expected: str | None = None
    evidence: list[Evidence] = []
    reproduce: str | None = None
    fix: str | None = None
    fixes: dict[str, str] = {}
    references: list[str] = []
    breaks: str | None = None
    needs: str | None = None

    @property
    def advice(self) -> list[str]:
        """The general fix, then one line for each stack."""
        by_stack = [f"{STACKS.get(stack, stack)}: {text}" for stack, text in self.fixes.items()]
        return [*([self.fix] if self.fix else []), *by_stack]


class ChecksFile(msgspec.Struct, frozen=True, kw_only=True):
    """`checks.json`."""

    schema: int = SCHEMA
    target: str
    dialect: str | None
    position: str
    streamgauge: str
    started: str
    strict: bool
    requests: int
    summary: dict[str, int]
    results: list[CheckResult]
