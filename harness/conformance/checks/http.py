"""http.*: the exchange around the stream."""

from typing import Final

from harness.conformance.applies import takes_body
from harness.conformance.cases import Case, Observed, printable
from harness.conformance.registry import (
    Finding,
    fail,
    inconclusive,
    info,
    met,
    not_applicable,
    per_stream,
    unmet,
    warn,
    whole_case,
    worst,
)
from harness.conformance.scenarios import HAPPY, PLAIN, STREAM
from harness.dialects.base import Media
from harness.wire import End, Framing

REFUSED: Final = frozenset({400, 415, 422})
SEE: Final = "look at the curl line"


def answered(seen: Observed) -> bool:
    return seen.answered


def anything(_seen: Observed) -> bool:
    """Requests that got no answer count too."""
    return True


def streams(seen: Observed) -> bool:
    return seen.streams


@per_stream("http.status-200", reads=HAPPY, wants=anything, expected="status 200")
def status_200(seen: Observed, _case: Case) -> Finding:
    head, status = seen.head, seen.status or 0
    if head is None:
        return unmet(f"no answer: {seen.how_it_went()}", seen.note(seen.how_it_went()))
    if status == 200:
        return met("status 200")
    if 300 <= status < 400 and head.get("location"):
        return inconclusive(f"status {status}: the endpoint has moved", "the URL that Location names")
    if 400 <= status < 500:
        return inconclusive(f"status {status}: the request is refused", STREAM)
    return unmet(f"status {status}", seen.note(seen.how_it_went()))


@per_stream("http.method-not-allowed", reads=("wrong-method",), wants=answered, expected="405 with an Allow header")
def method_not_allowed(seen: Observed, _case: Case) -> Finding:
    status = seen.status or 0
    if status == 405:
        allow = seen.head.get("allow") if seen.head else None
        if allow:
            return met(f"405, Allow: {printable(allow)}")
        return warn(f"{seen.method} gets 405 without Allow", seen.header("Allow"))
    if seen.streams:
        return not_applicable(f"{seen.method} is served with a stream too")
    if status in REFUSED:
        return not_applicable(f"{seen.method} is served too: the probe is refused for what it lacks ({status})")
    if status == 200 or status >= 500:
        return fail(f"{seen.method} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))
    return warn(f"{seen.method} gets {status} instead of 405", seen.note(seen.how_it_went()))


@per_stream("http.head-no-body", reads=("head",), wants=anything, expected="a head without body, and no generation")
def head_no_body(seen: Observed, case: Case) -> Finding:
    capture = seen.transcript.capture
    if seen.head is None:
        return fail(f"HEAD got no answer: {seen.how_it_went()}", seen.note(seen.how_it_went()))
    if capture.body or capture.trailing:
        return fail("HEAD was answered with a body", seen.note(f"{sum(len(data) for _, data in capture.body)} bytes"))
    if seen.upstream:
        return fail(
            "HEAD started a generation at the upstream", seen.note(f"{seen.upstream.requests} upstream requests")
        )
    part = "" if case.position == "sandwich" else "; whether it starts a generation shows only with --mock"
    return met(f"status {seen.status} without a body{part}")


@per_stream(
    "http.bad-json-400",
    reads=("bad-json", "text-plain"),
    wants=answered,
    applies=takes_body,
    expected="400 or 422 for a malformed body, 415 for a wrong type, and no stream",
)
def bad_json_400(seen: Observed, _case: Case) -> Finding:
    status = seen.status or 0
    what = seen.variant or "a malformed body"
    if seen.scenario == "text-plain":
        if status == 200:
            return info("the body is accepted as text/plain: a form on any site can post it", seen.note("status 200"))
        if 400 <= status < 500:
            return met(f"text/plain is refused with {status}")
    if status in REFUSED and not _claims_stream(seen):
        return met(f"refused with {status}")
    if 400 <= status < 500 and not _claims_stream(seen):
        return met(f"refused with {status} (400 or 422 would say why)")
    return unmet(f"{what} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))


def _claims_stream(seen: Observed) -> bool:
    return seen.head is not None and seen.head.media_type == Media.SSE


@per_stream(
    "http.validation-before-stream",
    reads=("invalid",),
    wants=answered,
    expected="4xx before any event",
)
def validation_before_stream(seen: Observed, _case: Case) -> Finding:
    status = seen.status or 0
    if 400 <= status < 500 and not _claims_stream(seen):
        return met(f"{seen.variant} is refused with {status}")
    return unmet(f"{seen.variant} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))


def _has_credential(case: Case) -> str | None:
    if case.public:
        return "the endpoint is declared public (--public)"
    return None if case.has_credential else "no credential was given, so none can be left out"


@per_stream(
    "http.unauthenticated-401",
    reads=("no-auth",),
    wants=answered,
    applies=_has_credential,
    expected="401 or 403 without a stream, WWW-Authenticate on 401",
)
def unauthenticated_401(seen: Observed, _case: Case) -> Finding:
    status, head = seen.status or 0, seen.head
    if status == 401 and head is not None and not head.get("www-authenticate"):
        return warn(f"{seen.variant}: 401 without WWW-Authenticate", seen.header("WWW-Authenticate"))
    if status in (401, 403) and not _claims_stream(seen):
        return met(f"{seen.variant}: {status}")
    return unmet(f"{seen.variant}: {seen.how_it_went()}", seen.note(seen.how_it_went()))


@whole_case(
    "http.accept-negotiation",
    reads=("accept",),
    expected="the same answer for text/event-stream, */* and no Accept; a stream, JSON or 406 for application/json",
)
def accept_negotiation(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.of(("accept",)):
        if seen.head is None:
            found.append(inconclusive(f"{seen.label}: {seen.how_it_went()}", SEE))
        elif "json" in (seen.variant or ""):
            if not seen.streams and seen.status not in (200, 406):
                found.append(info(f"{seen.label} gets {seen.how_it_went()}", seen.note(seen.how_it_went())))
        elif not seen.streams:
            found.append(warn(f"{seen.label} gets {seen.how_it_went()}", seen.note(seen.how_it_went())))
    return worst(found, met("every Accept that includes event streams gets the stream"))


@per_stream(
    "http.chunked-framing",
    reads=PLAIN,
    wants=streams,
    expected="chunked transfer coding, ended by a zero-size chunk",
)
def chunked_framing(seen: Observed, _case: Case) -> Finding | None:
    capture = seen.transcript.capture
    if capture.end in (End.CANCELLED, End.INTERRUPTED, None):
        return None
    detail = capture.detail or ""
    if capture.end is not End.COMPLETE:
        return unmet(f"the body does not end: {detail or capture.end}", seen.note(detail or capture.end.value))
    if capture.trailing:
        trailing = printable(capture.trailing.decode("latin-1"))
        return unmet("bytes follow the end of the response", seen.note(trailing))
    if capture.framing is Framing.CLOSE and seen.head is not None and seen.head.http_version != "1.0":
        return warn(
            "the body ends with the connection: a cut cannot be told from its end", seen.header("Transfer-Encoding")
        )
    return met(f"{capture.framing}, complete")


@per_stream("http.no-content-length", reads=PLAIN, wants=streams, expected="no Content-Length")
def no_content_length(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    if head is None or head.get("content-length") is None:
        return met("no Content-Length")
    if head.get("transfer-encoding") is not None:
        return fail("Content-Length and Transfer-Encoding together", seen.header("Content-Length"))
    if len(seen.transcript.tokens) < 2:
        return info("Content-Length on an answer of fewer than two tokens", seen.header("Content-Length"))
    return unmet("Content-Length: the whole answer was held until it was complete", seen.header("Content-Length"))


@per_stream(
    "http.http10-no-chunked",
    reads=("http10",),
    wants=answered,
    expected="no Transfer-Encoding, and a body that ends with the connection",
)
def http10_no_chunked(seen: Observed, _case: Case) -> Finding:
    if seen.status in (426, 505):
        return info(f"HTTP/1.0 is refused with {seen.status}")
    if seen.head is not None and seen.head.get("transfer-encoding"):
        return unmet("an HTTP/1.0 client gets chunk sizes in its text", seen.header("Transfer-Encoding"))
    if seen.streams:
        return met("a body without chunks")
    return inconclusive(f"no stream for HTTP/1.0: {seen.how_it_went()}", STREAM)
