"""What fails a run: the findings that `--fail-on` names, except those that a baseline accepts."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamgauge.conformance.requirement import Severity
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.errors import UsageError

NEVER: Final = "never"
_WORST_FIRST: Final = tuple(Severity)
_WORDS: Final = ("fail", "warn", *_WORST_FIRST, NEVER)
_FINDINGS: Final = (Verdict.FAIL, Verdict.WARN)
_MET: Final = (Verdict.PASS, Verdict.INFO)


class FailOn(NamedTuple):
    """Which results fail a run: those of `verdicts`, and findings of `severities`. A check that crashed always does."""

    text: str = "fail"
    verdicts: frozenset[Verdict] = frozenset({Verdict.FAIL, Verdict.ERROR})
    severities: frozenset[Severity] = frozenset()

    def holds(self, result: CheckResult) -> bool:
        """Whether this result fails the run."""
        return result.verdict in self.verdicts or (
            result.verdict in _FINDINGS and any(result.severity == severity for severity in self.severities)
        )


def parse_fail_on(words: Sequence[str]) -> FailOn:
    """The rule that the words of `--fail-on` make together. Raises UsageError on an unknown word.

    `fail` (an unmet MUST), `warn` (an unmet SHOULD too), `never`, or a severity: every failure or warning that is at
    least so severe.
    """
    given = [word.strip().lower() for text in words for word in text.split(",") if word.strip()]
    unknown = [word for word in given if word not in _WORDS]
    if unknown or (NEVER in given and len(given) > 1):
        raise UsageError(
            f"--fail-on {','.join(given)} is not a rule",
            f"one or more of {', '.join(_WORDS[:-1])}, or {NEVER}",
        )
    if not given:
        return FailOn()
    if given == [NEVER]:
        return FailOn(NEVER, frozenset())
    verdicts = {Verdict.ERROR} | ({Verdict.FAIL} if {"fail", "warn"} & set(given) else set())
    if "warn" in given:
        verdicts.add(Verdict.WARN)
    least = max((_WORST_FIRST.index(Severity(word)) for word in given if word in _WORST_FIRST), default=-1)
    return FailOn(",".join(dict.fromkeys(given)), frozenset(verdicts), frozenset(_WORST_FIRST[: least + 1]))


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A finding that is known and may stay: of one target (its name or URL), or of all.

    An accepted warning does not accept a failure of the same check.
    """

    check: str
    target: str | None = None
    verdict: Literal["fail", "warn"] = "fail"
    reason: str | None = None

    def is_of(self, names: Iterable[str]) -> bool:
        """Whether the entry is about a target of these names."""
        return self.target is None or self.target in names

    def covers(self, result: CheckResult) -> bool:
        """Whether the entry accepts the result: the accepted verdict, or a milder one."""
        return result.id == self.check and (
            result.verdict is Verdict.WARN or (result.verdict is Verdict.FAIL and self.verdict == "fail")
        )


class Standing(NamedTuple):
    """Ids of checks: those that fail the run, those that the baseline accepts, and accepted ones that pass now."""

    failing: list[str]
    accepted: list[str]
    stale: list[str]


def apply_baseline(
    results: Sequence[CheckResult], fail_on: FailOn, baseline: Sequence[Accepted] = (), names: Sequence[str] = ()
) -> Standing:
    """Which results of a target of these names fail the run, and what the baseline makes of them."""
    own = [entry for entry in baseline if entry.is_of(names)]
    bad = [result for result in results if fail_on.holds(result)]
    accepted = {result.id for result in bad if any(entry.covers(result) for entry in own)}
    met = {result.id for result in results if result.verdict in _MET}
    return Standing(
        [result.id for result in bad if result.id not in accepted],
        [result.id for result in bad if result.id in accepted],
        sorted({entry.check for entry in own} & met),
    )


def renewed(
    baseline: Sequence[Accepted], names: Sequence[str], results: Sequence[CheckResult], fail_on: FailOn
) -> list[Accepted]:
    """The baseline after a run of a target of these names: what fails is accepted, what passes is dropped.

    Entries of other targets, and of checks that this run could not judge, stay as they are.
    """
    verdicts = {result.id: result.verdict for result in results}
    kept = []
    for entry in baseline:
        judged = verdicts.get(entry.check) in (*_MET, *_FINDINGS)
        covering = any(entry.covers(result) and fail_on.holds(result) for result in results)
        # An entry for all targets goes when one target passes; the others then get entries of their own.
        if not entry.is_of(names) or not judged or covering:
            kept.append(entry)
    bad = [result for result in results if result.verdict in _FINDINGS and fail_on.holds(result)]
    new = [
        Accepted(check=result.id, target=names[0], verdict="fail" if result.verdict is Verdict.FAIL else "warn")
        for result in bad
        if not any(entry.is_of(names) and entry.covers(result) for entry in kept)
    ]
    return kept + new
