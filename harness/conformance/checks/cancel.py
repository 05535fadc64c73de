"""cancel.*: whether the upstream stops when the client leaves. The mock's own times decide."""

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, unmet
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.scenarios.cancellation import HEADLESS, close_of
from streamgauge.conformance.sources import guides, issue
from streamgauge.diagnosis.cancellation import INCONCLUSIVE, PASS, WARN, overall
from streamgauge.units import plural


@whole_case(
    Requirement(
        "cancel.upstream-aborted",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "When the client leaves in mid-stream, the call to the upstream is aborted within 10 s.",
        references=(
            guides("cancellation reaches the model"),
            issue("ggml-org/llama.cpp", 24496),
        ),
        breaks="Tokens that nobody reads are produced and billed, and slots stay taken.",
        fix="Pass the request's own cancellation into the upstream call.",
        lesser="The call is aborted within a second.",
    ),
    scenarios=("cancel-mid",),
    expected="the upstream call is aborted within 1 s, each time",
    broken_by=BrokenBy(proxy="--ignore-abort"),
)
def upstream_aborted(case: Case) -> Finding:
    return _judged(case, "cancel-mid")


@whole_case(
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
        lesser="The call is aborted within a second.",
        causes={
            "awaited-head": (
                "Cancel the call while its head is awaited, too: begin to watch for the client's disconnect before the "
                "upstream is called, not when its answer begins."
            ),
        },
    ),
    scenarios=("cancel-early", HEADLESS),
    expected="the upstream call is aborted within 3 s, before the first token, each time",
    broken_by=BrokenBy(proxy="--ignore-abort"),
)
def before_first_token(case: Case) -> Finding:
    found = _judged(case, "cancel-early") if case.of(("cancel-early",)) else None
    if found is not None and (found.verdict is not Verdict.PASS or not case.of((HEADLESS,))):
        return found
    headless = _judged(case, HEADLESS)
    if headless.verdict is None and not headless.lesser:
        return headless._replace(
            cause="awaited-head", actual=f"where the upstream's head comes late, {headless.actual}"
        )
    return found or headless


def _judged(case: Case, scenario: str) -> Finding:
    """The verdict over all closes of a scenario by its first way of leaving, as the command `cancel` gives it."""
    seen = case.of((scenario,))
    if doubt := next((doubt for one in seen if (doubt := joined(one))), None):
        return doubt
    closes = [(one, close_of(one)) for one in seen]
    closes = [(one, close) for one, close in closes if close.method == closes[0][1].method]
    row = overall([close for _, close in closes])
    quoted = next((one for one, close in closes if close.propagation_ms == row.propagation_ms), closes[0][0])
    times = plural(row.closes, "close")
    if row.verdict == INCONCLUSIVE:
        return inconclusive(row.note or "no close told anything", "a stream that nothing cuts short or holds back")
    if row.propagation_ms is None:
        why = f"{row.missed} of {times}: {row.note or 'the upstream never noticed that the client left'}"
        return unmet(why, quoted.note(f"{row.wasted_tokens} wasted tokens, {row.tokens_received} received"))
    delay = f"at most {row.propagation_ms:.1f} ms after the client left ({times}); {row.wasted_tokens} wasted tokens"
    if row.verdict == PASS:
        return met(f"the upstream call was aborted {delay}")
    judged = lesser if row.verdict == WARN else unmet
    return judged(f"the upstream call was aborted only {delay}", quoted.note(row.note or delay))
