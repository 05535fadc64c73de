"""The report of a run of `check`: each target's results, which of them fail the run, or why there are none."""

from typing import Final

import msgspec

from streamgauge.conformance.result import ChecksFile
from streamgauge.errors import ExitCode

SCHEMA: Final = 1


class TargetChecks(msgspec.Struct, frozen=True, kw_only=True):
    """One target's part. `checks` is None, and `reason` says why, where there was nothing to measure.

    `failing`, `accepted` and `stale` are ids of checks: the findings that fail the run, those that the baseline
    accepts, and those that the baseline accepts although they pass now. `file` and `line` are where a target file
    declares it.
    """

    name: str
    target: str
    checks: ChecksFile | None = None
    reason: str | None = None
    hint: str | None = None
    failing: list[str] = []
    accepted: list[str] = []
    stale: list[str] = []
    file: str | None = None
    line: int | None = None

    @property
    def fails(self) -> bool:
        """Whether it keeps the run from passing."""
        return self.checks is None or bool(self.failing or self.stale)


class ChecksReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `check --json` writes; `docs/schema/checks-1.json` is its JSON Schema."""

    schema: int = SCHEMA
    streamgauge: str
    started: str
    fail_on: str
    interrupted: bool = False
    targets: list[TargetChecks]

    @property
    def measured(self) -> list[ChecksFile]:
        """The results of the targets that could be measured."""
        return [one.checks for one in self.targets if one.checks is not None]

    @property
    def exit_code(self) -> ExitCode:
        """3 when no target could be measured, or when nothing failed but a run decides too little (`unfinished`).

        If only some of the targets could not be measured, the run has failed (1).
        """
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if not self.measured:
            return ExitCode.CANNOT_MEASURE
        if any(one.fails for one in self.targets):
            return ExitCode.FAILED
        return ExitCode.CANNOT_MEASURE if any(one.unfinished for one in self.measured) else ExitCode.OK
