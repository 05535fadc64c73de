"""The verdicts of checks, with their evidence. Verdict, level, severity and basis are four separate axes."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from streamgauge.conformance.matrix import Matrix
from streamgauge.diagnosis.product import Snippet, snippets, with_cause
from streamgauge.units import SECOND, show_ms

SCHEMA: Final = 1


class Verdict(StrEnum):
    """The result of a check. A member equals its text: `result.verdict == "fail"`."""

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
    """Where the problem is: the scenario, the byte offset in the decoded body, and the bytes there (escaped, bounded).

    `mark` is the index of the excerpt's character that shows the byte at `offset`. `arrival_ns` is the time from the
    start of the request to the arrival of that byte.
    """

    scenario: str
    note: str | None = None
    offset: int | None = None
    excerpt: str | None = None
    arrival_ns: int | None = None
    mark: int | None = None

    @property
    def place(self) -> str:
        """Where and when, in words: `happy, byte 1,207, arrived at 312 ms`."""
        words = [self.scenario]
        words += [f"byte {self.offset:,}"] if self.offset is not None else []
        words += [f"arrived at {show_ms(self.arrival_ns)}"] if self.arrival_ns is not None else []
        return ", ".join(words)


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The result of one check, with its evidence and what to do about it.

    `needs` says what would make an inconclusive check testable. `reproduce` is a command line with secrets masked.
    `cause` names the defect that was found, where its fix differs from the general one. `fixes` maps a product to
    configuration to paste; `fix` is the general advice. `scenarios` are the requests that the check judged. `profile`
    says how a profile changed the level.
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
    cause: str | None = None
    references: list[str] = []
    breaks: str | None = None
    needs: str | None = None
    scenarios: list[str] = []
    profile: str | None = None

    def __repr__(self) -> str:
        return f"<CheckResult {self.id} {self.verdict}: {self.actual}>"

    @property
    def snippets(self) -> list[Snippet]:
        """The fixes for products, as a report shows them."""
        return snippets(with_cause(self.id, self.cause), self.fixes)

    @property
    def advice(self) -> list[str]:
        """The general fix, then the fix for each product, as plain text; code of several lines keeps its lines."""
        return [*([self.fix] if self.fix else []), *(snippet.plain for snippet in self.snippets)]


class WireRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a body, or the bytes that arrived together: escaped, masked and bounded.

    `cited` are the offsets in it that a check quotes; `marks` are the indexes of the characters of `text` at them.
    """

    offset: int
    size: int
    text: str
    arrival_ns: int | None = None
    read: int | None = None
    cited: list[int] = []
    marks: list[int] = []


class WireExchange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request of a scenario and its answer. Times count from the request's start; `size` is decoded body bytes."""

    label: str
    scenario: str
    method: str
    url: str
    outcome: str
    reproduce: str | None = None
    detail: str | None = None
    status: int | None = None
    http_version: str | None = None
    headers: list[tuple[str, str]] = []
    headers_ns: int | None = None
    end_ns: int | None = None
    end: str | None = None
    framing: str | None = None
    reads: int = 0
    size: int = 0
    rows: list[WireRow] = []


class UpstreamError(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One way in which the upstream failed before its first byte, and what the client got for it.

    `status`, `media_type`, `body` (its shape in words) and `retry_after` are the client's answer; `tries` counts the
    requests that the mock saw, None where it could see none. `seconds` is the time from the request to the end of the
    answer. `upstream_retry_after`: the upstream's answer had Retry-After.
    """

    upstream: str
    outcome: str
    seconds: float
    body: str
    status: int | None = None
    media_type: str | None = None
    retry_after: str | None = None
    upstream_retry_after: bool = False
    tries: int | None = None
    try_gaps_s: list[float] = []

    @property
    def cells(self) -> list[str]:
        """The row as texts, in the order of UPSTREAM_ERROR_COLUMNS."""
        answer = f"{self.status} {self.media_type or 'without Content-Type'}" if self.status else "no answer"
        if self.status == 200 and self.outcome != "ok":
            answer += f" ({self.outcome})"
        given = f"({self.retry_after})" if self.retry_after is not None else ""
        kept = ("kept" if given else "lost") if self.upstream_retry_after else "added" if given else "-"
        gaps = ", ".join(show_ms(gap * SECOND) for gap in self.try_gaps_s[:3])
        tries = "-" if self.tries is None else f"{self.tries}" + (f" ({gaps} apart)" if gaps else "")
        return [self.upstream, answer, self.body, f"{kept} {given}".rstrip(), show_ms(self.seconds * SECOND), tries]


UPSTREAM_ERROR_COLUMNS: Final = ("upstream", "client gets", "body", "Retry-After", "after", "upstream tries")


class ChecksFile(msgspec.Struct, frozen=True, kw_only=True):
    """`checks.json`: the results of all checks of one target, and the exchanges that they were judged by.

    `dialect_rule` is the rule that recognised the dialect, and `dialect_doubt` the evidence against it. Both are absent
    when the user named the dialect. `clients` shows how popular clients read the streams; None without `--clients`.
    `upstream_errors` shows what the endpoint makes of a failing upstream; empty without the mock behind it.
    `one_at_a_time` says how it showed that the endpoint serves one request at a time, `unfinished` why the run decides
    too little to pass: the endpoint no longer answers, the time was over, or no answer had content. `tokens_spent` is
    about how many tokens a real model has read and written; None where the mock answers.
    """

    schema: int = SCHEMA
    target: str
    dialect: str | None
    dialect_rule: str | None = None
    dialect_doubt: str | None = None
    profile: str | None = None
    one_at_a_time: str | None = None
    unfinished: str | None = None
    tokens_spent: int | None = None
    position: str
    streamgauge: str
    started: str
    strict: bool
    requests: int
    summary: dict[str, int]
    results: list[CheckResult]
    exchanges: list[WireExchange] = []
    clients: Matrix | None = None
    upstream_errors: list[UpstreamError] = []

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.summary.items() if count)
        return f"<ChecksFile {self.target} ({self.dialect or 'unknown dialect'}): {counts}>"


def failed(results: Iterable[CheckResult], *, strict: bool) -> list[CheckResult]:
    """The results that make a run fail; with `strict`, warnings too. A check that crashed always fails the run."""
    bad = {Verdict.FAIL, Verdict.ERROR} | ({Verdict.WARN} if strict else set())
    return [result for result in results if result.verdict in bad]
