"""http.announces-close: a client sends its next request on a connection that the last answer left open."""

import re
from typing import Final

from streamgauge.conformance.cases import Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.permissions import STREAM
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.ordinary import WATCHED_NS
from streamgauge.conformance.sources import rfc
from streamgauge.units import MS
from streamgauge.wire import Framing

_STREAMS: Final = 2  # one close may be a coincidence
_ASKED: Final = re.compile(rb"\r\nconnection:[^\r]*\bclose\b", re.IGNORECASE)


@whole_case(
    Requirement(
        "http.announces-close",
        SHOULD,
        Severity.MEDIUM,
        Basis.SPEC,
        "An answer that ends the connection says Connection: close.",
        references=(rfc(9112, "9.6", "Tear-down"), rfc(9112, "9.3", "Persistence")),
        breaks="The next request on the same connection is lost: SDKs report a closed or reset connection, and a POST "
        "is not sent again.",
        fix="Send Connection: close with an answer after which the server closes, or keep the connection open.",
    ),
    scenarios=("kept",),
    expected="the connection stays open, or the answer says Connection: close",
)
def announces_close(case: Case) -> Finding:
    found = case.of(("kept",))
    if not found:
        return inconclusive("no stream came", STREAM)
    first = found[0]
    head, kept = first.head, first.kept
    if head is None or not first.streams:
        return inconclusive(f"no stream came: {first.how_it_went()}", STREAM)
    if head.http_version != "1.1":
        return not_applicable(f"HTTP/{head.http_version} has no connections that an answer keeps by default")
    if (said := head.get("connection")) is not None and "close" in said.lower():
        return met(f"the answer says Connection: {printable(said)}")
    if first.transcript.capture.framing is Framing.CLOSE:
        return not_applicable("the body ends with the connection, so no client waits for another answer there")
    if _ASKED.search(first.transcript.capture.request.partition(b"\r\n\r\n")[0]):
        return not_applicable("the request asked for the close (--header 'Connection: close')")
    if kept is None:
        return inconclusive(f"the connection was not kept: {first.how_it_went()}", STREAM)
    closed = [seen for seen in found if _closed_at_once(seen)]
    if closed and sum(seen.kept is not None for seen in found) < _STREAMS:
        return inconclusive("it was closed right after one answer, and the next could not be watched", STREAM)
    if len(closed) == _STREAMS:
        promise = head.get("keep-alive")
        although = "" if promise is None else f", although it says Keep-Alive: {printable(promise)}"
        return unmet(
            f"the connection was closed right after the answer, which did not announce it, twice{although}",
            *(seen.note(f"closed {_ms(seen)} ms after the end of the answer") for seen in closed),
        )
    if closed:
        return met("the connection was closed right after one answer, and not after the next")
    return met(f"the connection was still open {min(kept.watched_ns, WATCHED_NS) / MS:.0f} ms after the answer")


def _closed_at_once(seen: Observed) -> bool:
    return seen.kept is not None and seen.kept.closed_ns is not None and seen.kept.closed_ns <= WATCHED_NS


def _ms(seen: Observed) -> str:
    assert seen.kept is not None
    return f"{max(seen.kept.closed_ns or 0, 0) / MS:.1f}"
