"""cancel.*: whether the upstream stops when the reader leaves. Judged from the mock's own times."""

from typing import Final

from harness.cancellation import CancelRow, judge
from harness.conformance.cases import Case, Observed
from harness.conformance.checks.errors import joined
from harness.conformance.registry import Finding, fail, inconclusive, met, per_stream, unmet, warn

EARLY_MS: Final = 3_000


def anything(_seen: Observed) -> bool:
    """A client that leaves early may have got nothing at all."""
    return True


@per_stream(
    "cancel.upstream-aborted",
    reads=("cancel-mid",),
    wants=anything,
    expected="the upstream call is aborted within 1 s",
)
def upstream_aborted(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    row = _row(seen, "mid-stream")
    if row.propagation_ms is None:
        return _never(row, seen)
    told = f"{row.propagation_ms:.1f} ms after the client left; {row.wasted_tokens} tokens were written for nobody"
    if row.verdict == "pass":
        return met(f"the upstream call was aborted {told}")
    judged = warn if row.verdict == "warn" else fail
    return judged(f"the upstream call was aborted only {told}", seen.note(row.note or told))


@per_stream(
    "cancel.before-first-token",
    reads=("cancel-early",),
    wants=anything,
    expected="the upstream call is aborted within 3 s, before the first token",
)
def before_first_token(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    row = _row(seen, "before the first token")
    if row.propagation_ms is None:
        return _never(row, seen)
    told = f"{row.propagation_ms:.1f} ms after the client left"
    if row.propagation_ms <= EARLY_MS:
        return met(f"the upstream call was aborted {told}")
    return unmet(f"the upstream call was aborted only {told}", seen.note(row.note or told))


def _row(seen: Observed, phase: str) -> CancelRow:
    return judge(seen.transcript, seen.upstream, path=seen.label, phase=phase, method="FIN")


def _never(row: CancelRow, seen: Observed) -> Finding:
    why = row.note or "the upstream never saw the client leave"
    if row.verdict == "inconclusive":
        return inconclusive(why, "a stream that is not cut short or held on its way")
    return fail(why, seen.note(f"{row.wasted_tokens} tokens were written for nobody, {row.tokens_received} received"))
