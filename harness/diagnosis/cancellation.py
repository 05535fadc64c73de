"""Cancellation: how long the upstream went on after the client had left. Judged from the times of both sides. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from streamgauge.endpoint.received import Received
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import MS, SECOND, ns_to_ms, plural

SCHEMA: Final = 1
PASS: Final = "pass"
WARN: Final = "warn"
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"


class CancelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One abandoned stream, or several of the same kind: `closes` says how many, and `missed` how many of them failed.

    `propagation_ms` is client close → upstream noticed, absent when it never noticed; of several it is the longest.
    `wasted_tokens` counts the tokens that the upstream wrote after the client had closed. `clock_error_ms` bounds the
    error of both.
    """

    path: str
    phase: str
    method: str
    verdict: str
    seen: bool
    propagation_ms: float | None
    clock_error_ms: float | None
    tokens_received: int
    wasted_tokens: int | None
    upstream_end: str | None
    upstream_kind: str | None
    upstream_requests: int | None
    note: str | None = None
    closes: int = 1
    missed: int = 0

    def __repr__(self) -> str:
        noticed = "never noticed" if self.propagation_ms is None else f"noticed after {self.propagation_ms:.2f} ms"
        wasted = "" if self.wasted_tokens is None else f", {self.wasted_tokens} tokens wasted"
        return f"<CancelRow {self.verdict}: {self.phase}, {self.method}: {noticed}{wasted}>"


class CancellationFile(msgspec.Struct, frozen=True, kw_only=True):
    """`cancellation.json`."""

    schema: int = SCHEMA
    target: str
    mock: str
    started: str
    rows: list[CancelRow]

    def __repr__(self) -> str:
        verdicts = Counter(row.verdict for row in self.rows)
        wasted = sum(row.wasted_tokens or 0 for row in self.rows)
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        return f"<CancellationFile {self.target}: {plural(len(self.rows), 'close')}: {counts}; {wasted} tokens wasted>"


class Phase(NamedTuple):
    """When the client leaves, and what it expects of the upstream.

    The mock's first token comes after `ttft`, and the client goes after `tokens` tokens; None: after EARLY_LEAVE_S,
    before the first token. An upstream that notices after more than `late_ns` fails; `wait_s` is how long it is
    watched.
    """

    name: str
    ttft: str
    tokens: int | None
    late_ns: int
    wait_s: float


EARLY_LEAVE_S: Final = 0.5
TOKENS: Final = 300
ITL_NS: Final = 20 * MS
ITL: Final = f"{ITL_NS // MS}ms"
# A hop that notices the close only when it writes the first token has paid for the whole prefill.
EARLY: Final = Phase("before the first token", "8s", None, late_ns=3 * SECOND, wait_s=4.0)
# Longer than the rest of the stream (300 × 20 ms): an upstream that has seen nothing by then never will.
MID: Final = Phase("mid-stream", "50ms", 5, late_ns=10 * SECOND, wait_s=12.0)
PHASES: Final = (EARLY, MID)

LEAST_CLOSES: Final = 3
MOST_CLOSES: Final = 5
MOST_SHARE: Final = 0.8
"""The endpoint fails when at least this share of its closes fail: a busy machine alone can delay one of five."""
PROMPT_NS: Final = SECOND
"""An upstream that stops within this time is prompt. A garbage collector or a drain timeout takes longer."""
STOOD_STILL_SHARE: Final = 0.5
"""The mock writes a token every ITL until it notices. With less than this share of them it was not running."""
_DOTNET_DRAIN_NS: Final = (1_800 * MS, 2_400 * MS)


class Upstream(NamedTuple):
    """The upstream's ledger of one stream. Times are epoch ns of our own clock, ± `error_ns`.

    `arrivals_ns` has an item for each request with this id. `written_bytes`, `tokens`, `status`, `credential` (its
    digest), `prompt_tokens` (as the upstream counts them) and `received` belong to the last request.
    """

    requests: int
    end: str | None
    disconnect_ns: int | None
    disconnect_kind: str | None
    token_ns: list[int]
    tokens_after: int
    error_ns: int
    path: str | None = None
    dialect: str | None = None
    head_ns: int | None = None
    tokens: int = 0
    arrivals_ns: tuple[int, ...] = ()
    written_bytes: int = 0
    prompt_tokens: int | None = None
    received: Received | None = None
    status: int | None = None
    credential: str | None = None

    def finished_before(self, close_ns: int) -> bool:
        """Whether the last token was written before `close_ns`, so that nothing was left to cancel."""
        return self.end == "complete" and bool(self.token_ns) and self.token_ns[-1] <= close_ns


def wasted_tokens(upstream: Upstream, close_ns: int) -> int:
    """Tokens that the upstream generated after the client had closed, whether it still wrote them or not."""
    return sum(at > close_ns for at in upstream.token_ns) + upstream.tokens_after


def judge_cancellation(
    transcript: Transcript, upstream: Upstream | None, *, path: str, phase: Phase, method: str
) -> CancelRow:
    """The row of one close, from the client's transcript and the upstream's ledger."""
    close_ns = transcript.capture.end_ns
    received = len(transcript.tokens)

    def row(verdict: str, note: str | None, propagation_ns: int | None = None, wasted: int | None = None) -> CancelRow:
        return CancelRow(
            path=path,
            phase=phase.name,
            method=method,
            verdict=verdict,
            missed=int(verdict == FAIL),
            seen=propagation_ns is not None,
            propagation_ms=None if propagation_ns is None else ns_to_ms(propagation_ns),
            clock_error_ms=ns_to_ms(upstream.error_ns) if upstream else None,
            tokens_received=received,
            wasted_tokens=wasted,
            upstream_end=upstream.end if upstream else None,
            upstream_kind=upstream.disconnect_kind if upstream else None,
            upstream_requests=upstream.requests if upstream else None,
            note=note,
        )

    if transcript.outcome is not Outcome.CANCELLED or close_ns is None:
        return row(INCONCLUSIVE, f"the stream ended before it could be cancelled: {transcript.detail or ''}".strip())
    if upstream is None:
        return row(INCONCLUSIVE, "the request never reached the mock: is the mock the endpoint's upstream?")
    wasted = wasted_tokens(upstream, close_ns)
    if upstream.disconnect_ns is None:
        if upstream.finished_before(close_ns):
            return row(INCONCLUSIVE, "the upstream had finished before the client left", None, 0)
        how = "ran to its end" if upstream.end == "complete" else "still ran when the harness stopped waiting"
        return row(FAIL, f"the upstream never saw the client leave and {how}", None, wasted)
    delay = max(upstream.disconnect_ns - close_ns, 0)
    if delay > PROMPT_NS and phase is MID and wasted < STOOD_STILL_SHARE * min(delay // ITL_NS, TOKENS - received):
        told = f"in the {delay // MS:,} ms until the upstream noticed it wrote {plural(wasted, 'token')}, at {ITL} each"
        return row(INCONCLUSIVE, f"{told}: the mock stood still itself, so the machine was too busy")
    verdict = PASS if delay <= PROMPT_NS else WARN if delay <= phase.late_ns else FAIL
    return row(verdict, _cause(delay, phase), delay, wasted)


def enough(rows: Sequence[CancelRow]) -> bool:
    """Whether so many closes of one kind settle the verdict: three that agree, or five."""
    return len(rows) >= MOST_CLOSES or (len(rows) >= LEAST_CLOSES and len({row.verdict for row in rows}) == 1)


def overall(rows: Sequence[CancelRow]) -> CancelRow:
    """One row for several closes of one kind: it passes when all are noticed promptly, and fails when most are not.

    Where some are noticed in time and some are not, the row is inconclusive and says how many.
    """
    judged = [row for row in rows if row.verdict != INCONCLUSIVE]
    if not judged:
        return msgspec.structs.replace(rows[0], closes=len(rows))
    missed = sum(row.verdict == FAIL for row in judged)
    worst = max(judged, key=_badness)
    verdict, note = worst.verdict, worst.note
    if 0 < missed < MOST_SHARE * len(judged):
        verdict = INCONCLUSIVE
        note = f"{missed} of {plural(len(judged), 'close')} not noticed in time, the others were: it differs each time"
    return msgspec.structs.replace(worst, verdict=verdict, note=note, closes=len(judged), missed=missed)


def _badness(row: CancelRow) -> tuple[int, float]:
    """Orders the closes of one kind: the verdict first, then the delay."""
    delay_ms = float("inf") if row.propagation_ms is None else row.propagation_ms
    return (PASS, WARN, FAIL).index(row.verdict), delay_ms


def _cause(delay_ns: int, phase: Phase) -> str | None:
    """The known mechanism that explains this delay; None without a known one."""
    if _DOTNET_DRAIN_NS[0] <= delay_ns <= _DOTNET_DRAIN_NS[1]:
        return (
            "2.0 s is .NET's ResponseDrainTimeout: the response was dropped, not cancelled; "
            "pass the request's CancellationToken on to the upstream call"
        )
    if delay_ns > PROMPT_NS and phase is EARLY:
        return "a hop that notices a closed client only at its next write notices it with the first token"
    return None
