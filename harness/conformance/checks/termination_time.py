"""termination.*: streams that would never end, and browsers that reconnect after every end."""

from typing import Final

from streamgauge.conformance.applies import sse
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import EVENTSOURCE, guides, issue
from streamgauge.conformance.wants import answer
from streamgauge.protocol.dialects.base import Kind
from streamgauge.units import SECOND
from streamgauge.wire import End

CEILING_HEARTBEATS: Final = 8  # intervals of 15 s make 120 s: guides recommend 30, 60 or 120 s


@per_stream(
    Requirement(
        "termination.max-duration",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "The server limits how long a stream may last, and ends a longer one with an error event or a reason.",
        references=(
            guides("a ceiling for every stream: 30, 60 or 120 s"),
            "agentdeals#1098",
        ),
        breaks="Costs go on, and slots stay taken.",
        fix="Limit the duration of every stream, and send an error event at the limit.",
        causes={
            "silent-end": "Send an error event at the limit: a silent end looks like a complete answer.",
        },
    ),
    scenarios=("trickle",),
    wants=answer,
    expected="an end with an error event or a reason, within 120 s",
    broken_by=BrokenBy(proxy=""),
)
def max_duration(seen: Observed, case: Case) -> Finding:
    if case.endpoint_is_mock:
        return not_applicable("the endpoint is the mock itself, and its stream was made endless")
    if doubt := joined(seen):
        return doubt
    transcript, capture = seen.transcript, seen.transcript.capture
    lasted = (capture.end_ns or capture.start_ns) - capture.start_ns
    after, end = f"after {lasted / SECOND:,.0f} s", seen.at(len(transcript.body))
    if capture.end is End.TIMEOUT:
        if lasted < CEILING_HEARTBEATS * case.heartbeat_ns * 0.98:
            least = CEILING_HEARTBEATS * case.heartbeat_ns // SECOND
            return inconclusive(f"the stream was still running {after}", f"--max-duration {least}s or more")
        return unmet(f"still running {after}", end)
    if seen.failed_by_error or transcript.first(Kind.FINISH):
        return met(f"the stream ended {after}, and the client learns why")
    if transcript.first(Kind.DONE):
        return unmet(f"the stream ended {after} as if the answer were complete", end, cause="silent-end")
    return unmet(f"the connection was cut {after}, without an error event", end)


def _get(case: Case) -> str | None:
    if reason := sse(case):
        return reason
    return None if case.method == "GET" else f"an EventSource sends GET, but this endpoint takes {case.method}"


@whole_case(
    Requirement(
        "termination.no-eventsource-loop",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "An EventSource can stop after a stream: the stream has an end marker, or the reconnect gets status 204.",
        references=(
            EVENTSOURCE,
            issue("obot-platform/obot", 1857),
            "event-source-plus#19",
            "soliplex#685",
        ),
        breaks="Browsers reconnect at the end of every stream, and pay for the same answer again and again.",
        fix="Send a last event on which the page calls close(); answer a reconnect with 204.",
    ),
    scenarios=("reconnect",),
    applies=_get,
    expected="an end marker, or 204 on the reconnect",
    broken_by=BrokenBy(shape="raw-text"),
)
def no_eventsource_loop(case: Case) -> Finding:
    first, *again = case.of(("reconnect",))
    if first.transcript.first(Kind.DONE):
        return met("an end marker tells the page to close")
    if not again:
        return inconclusive(f"the first stream did not end by itself: {first.how_it_went()}", "a stream that ends")
    seen = again[0]
    if seen.status == 204:
        return met("the reconnect gets status 204, which stops the EventSource")
    if _regenerates(seen):
        return unmet("the stream ends without a marker, and the reconnect starts another stream", seen.at(0))
    return met(f"the reconnect starts no second answer: {seen.how_it_went()}")


def _regenerates(seen: Observed) -> bool:
    if not seen.transcript.tokens:
        return False
    return seen.upstream is None or seen.upstream.requests > 1
