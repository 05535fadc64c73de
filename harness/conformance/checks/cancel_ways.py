"""cancel.*: the ways in which a client can leave. The mock's own times decide."""

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, info, met, unmet
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.cancellation import LEAVE_AFTER_TOKENS, close_of
from streamgauge.conformance.sources import guides, rfc, source
from streamgauge.conformance.wants import anything
from streamgauge.diagnosis.cancellation import FAIL, INCONCLUSIVE, CancelRow
from streamgauge.units import SECOND, show_ms
from streamgauge.wire import End

WAYS: tuple[str, ...] = ("cancel-mid", "cancel-early")
# Tokens that arrive within this time after the half-close were already on their way.
IN_FLIGHT_NS = SECOND // 2


@whole_case(
    Requirement(
        "cancel.abort-variants",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The upstream call is aborted however the client leaves: by FIN, by RST, and over HTTP/2 by RST_STREAM.",
        references=(
            rfc(9112, "9.6", "Tear-down"),
            rfc(9113, "5.4.2", "Stream Error Handling"),
            guides("network interruptions"),
        ),
        breaks="Mobile clients and load balancers leave by RST, browsers over HTTP/2 by RST_STREAM.",
        fix="Treat every end of the client's connection as a cancel, also in the proxies on the way.",
    ),
    scenarios=WAYS,
    expected="the upstream call is aborted after FIN and after RST (over HTTP/2: RST_STREAM)",
    broken_by=BrokenBy(proxy="--ignore-abort"),
)
def abort_variants(case: Case) -> Finding:
    runs = case.of(WAYS)
    if doubt := next((doubt for run in runs if (doubt := joined(run))), None):
        return doubt
    closes: dict[str, list[tuple[Observed, CancelRow]]] = {}
    for run in runs:
        row = close_of(run)
        closes.setdefault(row.method, []).append((run, row))
    noticed = {way: _noticed([row for _, row in of_way]) for way, of_way in closes.items()}
    aborted = [way for way, seen in noticed.items() if seen]
    unnoticed = [way for way, seen in noticed.items() if seen is False]
    if len(aborted) + len(unnoticed) < 2:
        undecided = [row.note for of_way in closes.values() for _, row in of_way if row.verdict == INCONCLUSIVE]
        return inconclusive(next(filter(None, undecided), "the client left in one way only"), MOCK)
    if not unnoticed:
        return met(f"aborted by {' and by '.join(aborted)}")
    if not aborted:
        return unmet(f"neither {' nor '.join(unnoticed)} aborts the upstream call", runs[0].note(runs[0].how_it_went()))
    if not any(close_of(run).seen for run in runs if run.scenario == "cancel-early"):
        return inconclusive(
            f"before the first token nothing is aborted, so {' and '.join(unnoticed)} could not be told apart",
            "cancel.before-first-token to pass",
        )
    failed = next(run for run, row in closes[unnoticed[0]] if row.verdict == FAIL)
    actual = f"{unnoticed[0]} does not abort the upstream call, but the other way does"
    return unmet(actual, failed.note(failed.how_it_went()))


def _noticed(rows: list[CancelRow]) -> bool | None:
    """Whether the upstream notices this way of leaving, in the one phase or the other; None where that is open."""
    judged = [row for row in rows if row.verdict != INCONCLUSIVE]
    if not judged:
        return None
    return any(row.seen for row in judged)


def _clear_text(case: Case) -> str | None:
    first = next(iter(case.of(("happy",))), None)
    if first is not None and (first.url.startswith("https:") or (first.head and first.head.http_version == "2")):
        return "TLS and HTTP/2 have no half-close"
    return None


@per_stream(
    Requirement(
        "cancel.half-close",
        SHOULD,
        Severity.LOW,
        Basis.OPS,
        "When a client closes only its sending side, the stream goes on, because the client may still read.",
        references=(
            rfc(9112, "9.6", "Tear-down"),
            source("Kestrel of .NET 10, run", "it ends the answer at a half-close"),
        ),
        breaks="Clients behind tunnels and load balancers that half-close lose their answers.",
        fix="Decide what a half-close means and document it: it does not prove that nobody reads.",
    ),
    scenarios=("half-close",),
    applies=_clear_text,
    wants=anything,
    expected="the stream goes on; to treat a half-close as a cancel is legal",
)
def half_close(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    capture = seen.transcript.capture
    times = [seen.transcript.time_of(event) for event, _ in seen.transcript.tokens]
    if len(times) < LEAVE_AFTER_TOKENS:
        return inconclusive(f"the stream ended before the half-close: {seen.how_it_went()}", MOCK)
    closed_ns = times[LEAVE_AFTER_TOKENS - 1]
    after = sum(at > closed_ns + IN_FLIGHT_NS for at in times)
    if capture.end is End.TIMEOUT and not after:
        return unmet("after a half-close neither tokens nor an end come", seen.at(len(seen.transcript.body)))
    if after:
        return met(f"the stream goes on after a half-close: {after:,} more tokens")
    ended = show_ms((capture.end_ns or closed_ns) - closed_ns)
    return info(f"a half-close counts as a cancel: the stream ended {ended} after it", seen.note(capture.detail or ""))
