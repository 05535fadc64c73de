"""cancel.*: whether the upstream stops when the reader leaves. Judged from the mock's own times."""

from typing import Final

from harness.conformance.cases import Case, Observed
from harness.conformance.checks.errors import joined
from harness.conformance.registry import Finding, fail, inconclusive, met, per_stream, unmet, warn
from harness.conformance.scenarios import MOCK
from harness.units import SECOND, show_ms
from harness.wire import End

PROMPT_NS: Final = SECOND
LATE_NS: Final = 10 * SECOND
EARLY_NS: Final = 3 * SECOND


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
    delay, otherwise = _propagation(seen)
    if delay is None:
        return otherwise
    wasted = f"{show_ms(delay)} after the client, {otherwise.actual}"
    if delay <= PROMPT_NS:
        return met(f"the upstream call was aborted {wasted}")
    judged = warn if delay <= LATE_NS else fail
    return judged(f"the upstream call was aborted only {wasted}", seen.note(f"seen by the mock {wasted}"))


@per_stream(
    "cancel.before-first-token",
    reads=("cancel-early",),
    wants=anything,
    expected="the upstream call is aborted within 3 s, before the first token",
)
def before_first_token(seen: Observed, _case: Case) -> Finding:
    delay, otherwise = _propagation(seen)
    if delay is None:
        return otherwise
    if delay <= EARLY_NS:
        return met(f"the upstream call was aborted {show_ms(delay)} after the client")
    return unmet(f"the upstream call was aborted only {show_ms(delay)} after the client", seen.note(otherwise.actual))


def _propagation(seen: Observed) -> tuple[int | None, Finding]:
    """Client close → the mock saw it, and what was wasted; or None and the finding that explains it."""
    capture = seen.transcript.capture
    if doubt := joined(seen):
        return None, doubt
    assert seen.upstream is not None
    left = capture.end_ns
    if capture.end is not End.CANCELLED or left is None:
        why = f"the stream was over before the client could leave: {seen.how_it_went()}"
        return None, inconclusive(why, "a stream that is not cut short on its way")
    last = seen.upstream[-1]
    received = len(seen.transcript.tokens)
    if last.disconnect_ns is not None:
        wasted = max(0, last.tokens_written - received)
        return max(0, last.disconnect_ns - left), met(f"{wasted:,} tokens were produced that nobody read")
    if last.end_ns is not None and last.end_ns <= left:
        return None, inconclusive("the upstream was done before the client left: something holds the stream", MOCK)
    produced = f"{last.tokens_written:,} tokens produced, {received:,} received"
    how = "went on to its end" if last.end_ns is not None else "still runs"
    return None, fail(f"the upstream call {how} after the client had left", seen.note(produced))
