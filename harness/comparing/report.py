"""The result of `compare` as a value: what all of its files are made of."""

import msgspec

from streamgauge.comparing.verdict import Finding, RuleVerdict
from streamgauge.errors import ExitCode

SCHEMA = 1


class Range(msgspec.Struct, frozen=True):
    """A difference and its 95 % interval; an end without a bound is null."""

    point: float
    low: float | None
    high: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both sides. Latencies are in ms, shares are fractions; `relative` is a share of A's figure.

    `noise` is the relative difference that the same target twice makes, `floor_ms` the error of the client. `needed` is
    how many streams a side would show a change of 5 %; with `shows_five`, this comparison would have shown one.
    """

    metric: str
    statistic: str | None
    unit: str
    a: float | None
    b: float | None
    absolute: Range | None
    relative: Range | None
    noise: float | None
    floor_ms: float | None
    floor_from: str | None
    finding: Finding
    needed: int | None = None
    shows_five: bool = False
    note: str | None = None


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """A change that fails the comparison, and whether it was shown. `needed` streams a side would decide it."""

    rule: str
    verdict: RuleVerdict
    measured: str | None = None
    reason: str | None = None
    needed: int | None = None


class ShiftPoint(msgspec.Struct, frozen=True):
    """The relative difference at one quantile, with its interval and the noise of the same target twice."""

    q: float
    a_ms: float
    b_ms: float
    point: float
    low: float
    high: float
    noise: float


class Shift(msgspec.Struct, frozen=True):
    """How the whole distribution of a latency moved."""

    metric: str
    points: list[ShiftPoint]


class FailureRow(msgspec.Struct, frozen=True):
    """One way in which streams failed, and how often on each side."""

    outcome: str
    status: int | None
    detail: str
    a: int
    b: int


class CheckChange(msgspec.Struct, frozen=True):
    """A conformance check whose verdict changed."""

    id: str
    a: str
    b: str
    newly_fails: bool


class SideInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One side: its name here, where its runs are, and the facts that identify it."""

    name: str
    label: str
    runs: list[str]
    target: str
    started: list[str]
    streamgauge: str
    load: str
    streams: int
    failed: int
    validity: list[str]
    seconds: float


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """Side `name` against side `base`. `doubts` say why a figure decides nothing, `notes` what else matters."""

    name: str
    base: str = "A"
    identity: str
    alike: bool
    doubts: list[str]
    notes: list[str]
    rows: list[Row]
    rules: list[RuleResult]
    shifts: list[Shift]
    failures: list[FailureRow]
    checks: list[CheckChange]

    @property
    def verdict(self) -> RuleVerdict:
        """The worst of its rules."""
        found = {rule.verdict for rule in self.rules}
        if RuleVerdict.REGRESSION in found:
            return RuleVerdict.REGRESSION
        return RuleVerdict.UNDECIDED if RuleVerdict.UNDECIDED in found or not found else RuleVerdict.NONE


class CompareReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `compare --json` writes. The first side is the base of all, except of a comparison with the first baseline.

    `history` shows how figures went over the runs that were compared with a baseline.
    """

    schema: int = SCHEMA
    streamgauge: str
    seed: int
    resamples: int
    confidence: float
    sides: list[SideInfo]
    against: list[Versus]
    history: list[str] = []

    def side(self, name: str) -> SideInfo:
        """The side of this name."""
        return next(side for side in self.sides if side.name == name)

    def __repr__(self) -> str:
        rules = [f"{rule.rule}: {rule.measured or rule.reason}" for versus in self.against for rule in versus.rules]
        return f"<CompareReport {self.verdict}: {'; '.join(rules)}>"

    @property
    def verdict(self) -> RuleVerdict:
        """The worst verdict among all comparisons."""
        found = {versus.verdict for versus in self.against}
        order = (RuleVerdict.REGRESSION, RuleVerdict.UNDECIDED, RuleVerdict.NONE)
        return next(verdict for verdict in order if verdict in found)

    @property
    def exit_code(self) -> ExitCode:
        """0 no regression, 1 a regression, 3 no verdict."""
        return {
            RuleVerdict.REGRESSION: ExitCode.FAILED,
            RuleVerdict.UNDECIDED: ExitCode.CANNOT_MEASURE,
            RuleVerdict.NONE: ExitCode.OK,
        }[self.verdict]
