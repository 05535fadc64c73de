"""cancel.*: whether the upstream stops when the client leaves. The mock's own times decide."""

from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import guides, issue
from streamgauge.conformance.wants import anything
from streamgauge.diagnosis.cancellation import CancelRow, judge_cancellation

EARLY_MS: Final = 3_000


@per_stream(
    Requirement(
        "cancel.upstream-aborted",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "When the client leaves in mid-stream, the call to the upstream is aborted within a second.",
        references=(
            guides("cancellation reaches the model"),
            issue("ggml-org/llama.cpp", 24496),
        ),
        breaks="Tokens that nobody reads are produced and billed, and slots stay taken.",
        fix="Pass the request's own cancellation into the upstream call.",
        lesser="The call is aborted within a second.",
    ),
    scenarios=("cancel-mid",),
    wants=anything,
    expected="the upstream call is aborted within 1 s",
    broken_by=BrokenBy(proxy="--ignore-abort"),
)
def upstream_aborted(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    row = _row(seen, "mid-stream")
    if row.propagation_ms is None:
        return _never(row, seen)
    delay = f"{row.propagation_ms:.1f} ms after the client left; {row.wasted_tokens} wasted tokens"
    if row.verdict == "pass":
        return met(f"the upstream call was aborted {delay}")
    judged = lesser if row.verdict == "warn" else unmet
    return judged(f"the upstream call was aborted only {delay}", seen.note(row.note or delay))


@per_stream(
    Requirement(
        "cancel.before-first-token",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "When the client leaves before the first token, the call to the upstream is aborted within 3 s, "
        "without waiting for a token to be written.",
        references=(
            guides("cancellation reaches the model"),
            issue("BerriAI/litellm", 34374),
        ),
        breaks="Prefill is the expensive part: the server pays for a long prefill whose answer nobody reads.",
        fix="Cancel the upstream call on the disconnect itself, not on the first write that fails.",
    ),
    scenarios=("cancel-early",),
    wants=anything,
    expected="the upstream call is aborted within 3 s, before the first token",
    broken_by=BrokenBy(proxy="--ignore-abort"),
)
def before_first_token(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    row = _row(seen, "before the first token")
    if row.propagation_ms is None:
        return _never(row, seen)
    delay = f"{row.propagation_ms:.1f} ms after the client left"
    if row.propagation_ms <= EARLY_MS:
        return met(f"the upstream call was aborted {delay}")
    return unmet(f"the upstream call was aborted only {delay}", seen.note(row.note or delay))


def _row(seen: Observed, phase: str) -> CancelRow:
    return judge_cancellation(seen.transcript, seen.upstream, path=seen.label, phase=phase, method="FIN")


def _never(row: CancelRow, seen: Observed) -> Finding:
    why = row.note or "the upstream never noticed that the client left"
    if row.verdict == "inconclusive":
        return inconclusive(why, "a stream that nothing cuts short or holds back")
    return unmet(why, seen.note(f"{row.wasted_tokens} wasted tokens, {row.tokens_received} received"))
