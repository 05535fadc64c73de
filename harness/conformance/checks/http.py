"""http.*: the exchange around the stream."""

from typing import Final

from streamgauge.conformance.applies import takes_body
from streamgauge.conformance.cases import HAPPY, Case, Observed, keys_passed_on, printable
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import PLACE, REFUSING_MOCK, STREAM
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import EVENTSOURCE, guides, issue, rfc, wpt
from streamgauge.conformance.wants import answer, anything, concluded
from streamgauge.protocol.dialects.base import Media

REFUSED: Final = frozenset({400, 415, 422})
SEE: Final = "send the request again with the curl command"


@per_stream(
    Requirement(
        "http.status-200",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "An accepted request is answered with status 200, not with another 2xx.",
        references=(
            EVENTSOURCE,
            wpt("request-status-error"),
        ),
        breaks="Browser EventSource, and clients built like it, close for good on any other status.",
        fix="Answer a stream with 200; 202 and 204 are for answers without a body.",
        lesser="A stream that no EventSource can ask for, because the request is no GET, has status 200, too.",
        causes={
            "no-answer": (
                "Give every request an answer: an exception before the head must become a status, not a closed "
                "connection."
            ),
        },
    ),
    scenarios=HAPPY,
    wants=anything,
    expected="status 200",
)
def status_200(seen: Observed, _case: Case) -> Finding:
    head, status = seen.head, seen.status or 0
    if head is None:
        return unmet(f"no answer: {seen.how_it_went()}", seen.note(seen.how_it_went()), cause="no-answer")
    if status == 200:
        return met("status 200")
    if seen.streams and seen.method != "GET":  # no EventSource can send it
        return lesser(f"status {status} with a stream", seen.note(seen.how_it_went()))
    if 300 <= status < 400 and head.get("location"):
        return inconclusive(f"status {status}: the endpoint has moved", "the URL that Location names")
    if 400 <= status < 500:
        return inconclusive(f"status {status}: the request is refused", STREAM)
    return unmet(f"status {status}", seen.note(seen.how_it_went()))


@per_stream(
    Requirement(
        "http.method-not-allowed",
        SHOULD,
        Severity.LOW,
        Basis.SPEC,
        "A method that the endpoint does not serve is answered with 405 and an Allow header.",
        references=(rfc(9110, "15.5.6", "405 Method Not Allowed"),),
        breaks="A page with status 200 hides the fact that the wrong route answers.",
        fix="Route by method, and send Allow with 405.",
    ),
    scenarios=("wrong-method",),
    wants=answer,
    expected="405 with an Allow header",
)
def method_not_allowed(seen: Observed, _case: Case) -> Finding:
    status = seen.status or 0
    if status == 405:
        allow = seen.head.get("allow") if seen.head else None
        if allow:
            return met(f"405, Allow: {printable(allow)}")
        return unmet(f"{seen.method} gets 405 without Allow", seen.header("Allow"))
    if seen.streams:
        return not_applicable(f"{seen.method} is served with a stream too")
    if status in REFUSED:
        return not_applicable(f"{seen.method} is served too: the probe is refused because it is incomplete ({status})")
    if status == 200 or status >= 500:
        return unmet(f"{seen.method} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))
    return unmet(f"{seen.method} gets {status} instead of 405", seen.note(seen.how_it_went()))


@per_stream(
    Requirement(
        "http.head-no-body",
        MUST,
        Severity.LOW,
        Basis.SPEC,
        "The answer to HEAD has no body.",
        references=(rfc(9110, "9.3.2", "HEAD"),),
        breaks="Uptime monitors and link previews pay for tokens that nobody reads.",
        fix="Serve GET and POST only; where HEAD is served, send the head and stop.",
        lesser="HEAD is answered at once, and starts no generation.",
    ),
    scenarios=("head",),
    wants=anything,
    expected="a head without body, and no generation",
)
def head_no_body(seen: Observed, case: Case) -> Finding:
    capture = seen.transcript.capture
    if seen.head is None:
        return lesser(f"HEAD got no answer: {seen.how_it_went()}", seen.note(seen.how_it_went()))
    if capture.body or capture.trailing:
        return unmet("HEAD was answered with a body", seen.note(f"{sum(len(data) for _, data in capture.body)} bytes"))
    if seen.upstream:
        return lesser(
            "HEAD started a generation at the upstream", seen.note(f"{seen.upstream.requests} upstream requests")
        )
    part = "" if case.has_mock else "; only --mock shows a later body, or a generation that HEAD started"
    return met(f"status {seen.status} without a body{part}")


@per_stream(
    Requirement(
        "http.bad-json-400",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A body that cannot be read, or has the wrong media type, is refused with a 4xx status and without a stream.",
        references=(
            rfc(9110, "15.5.1", "400 Bad Request"),
            rfc(9110, "15.5.16", "415 Unsupported Media Type"),
            guides("validate before the stream starts"),
        ),
        breaks=(
            "SDKs classify by status, and send broken input again after a 5xx; a body accepted as text/plain can "
            "be posted by a form on any site."
        ),
        fix="Parse the body before the head is sent; answer 400 or 422, and 415 for a media type that is not JSON.",
    ),
    scenarios=("bad-json", "text-plain"),
    wants=concluded,
    applies=takes_body,
    expected="400 or 422 for a malformed body, 415 for a wrong type, and no stream",
)
def bad_json_400(seen: Observed, _case: Case) -> Finding:
    status = seen.status or 0
    what = seen.variant or "a malformed body"
    if not seen.answered:
        return unmet(f"{what} is not answered: the connection is closed", seen.note(seen.how_it_went()))
    if seen.scenario == "text-plain" and status == 200:
        return info("the body is accepted as text/plain: a form on any site can post it", seen.note("status 200"))
    if status in REFUSED or (seen.scenario == "text-plain" and _refuses(seen)):
        return met(f"{what} is refused with {_refusal(seen)}")
    if _refuses(seen):
        return met(f"{what} is refused with {_refusal(seen)} (400 or 422 would give the reason)")
    return unmet(f"{what} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))


def _refuses(seen: Observed) -> bool:
    """Whether the status refuses the request. Clients decide by the status, whatever the media type is."""
    return 400 <= (seen.status or 0) < 500


def _refusal(seen: Observed) -> str:
    """The status; and the media type where it claims a stream, which no refusal is."""
    claims_stream = seen.head is not None and seen.head.media_type == Media.SSE
    return f"{seen.status}, labelled {Media.SSE}" if claims_stream else f"{seen.status}"


@per_stream(
    Requirement(
        "http.validation-before-stream",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "Input that makes no sense, such as a missing or blank prompt, is refused with a 4xx status before "
        "the stream starts.",
        references=(
            rfc(9110, "15.5.21", "422 Unprocessable Content"),
            issue("fastapi/fastapi", 15917),
            issue("vllm-project/vllm", 40978),
            guides("validate before the stream starts"),
        ),
        breaks="SDKs can neither retry nor classify a 200.",
        fix="Validate in the handler, before the streaming result is created.",
    ),
    scenarios=("invalid",),
    wants=concluded,
    expected="4xx before any event",
)
def validation_before_stream(seen: Observed, case: Case) -> Finding:
    if _refuses(seen):
        return met(f"{seen.variant} is refused with {_refusal(seen)}")
    if not seen.answered:
        return unmet(f"{seen.variant} is not answered: the connection is closed", seen.note(seen.how_it_went()))
    if case.place_guessed and seen.status == 200 and not any(map(_refuses, case.of(("invalid",)))):
        return inconclusive(f"{seen.variant} gets 200, but the endpoint may not read the prompt from there", PLACE)
    return unmet(f"{seen.variant} gets {seen.how_it_went()}", seen.note(seen.how_it_went()))


def _has_credential(case: Case) -> str | None:
    if case.public:
        return "the endpoint is declared public (--public)"
    return None if case.has_credential else "no credential was given, so a request without it would prove nothing"


@whole_case(
    Requirement(
        "http.unauthenticated-401",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "A request without a valid credential is refused with 401 or 403 before the stream starts, and 401 "
        "carries WWW-Authenticate.",
        references=(
            rfc(9110, "15.5.2", "401 Unauthorized"),
            rfc(9110, "11.6.1", "WWW-Authenticate"),
            guides("authenticate before the stream starts"),
        ),
        breaks=(
            "Anybody can spend your tokens. After a redirect, fetch and EventSource fail on the HTML of the login page."
        ),
        fix=(
            "Authenticate in front of the handler, and answer an API with a status, never with a redirect to a "
            "login page."
        ),
        lesser="A 401 carries WWW-Authenticate.",
        causes={"no-challenge": "Send WWW-Authenticate with the 401; its challenge, such as Bearer, is missing."},
    ),
    scenarios=("no-auth",),
    applies=_has_credential,
    expected="401 or 403 without a stream, WWW-Authenticate on 401",
)
def unauthenticated_401(case: Case) -> Finding:
    asked = [seen for seen in case.of(("no-auth",)) if seen.answered]
    accepted = [seen for seen in asked if seen.streams]
    passed_on = keys_passed_on(asked)
    if accepted and passed_on == accepted:
        why = "the endpoint passes the caller's key on to its upstream, and the mock takes every key"
        return inconclusive(why, REFUSING_MOCK)
    open_to_all = [seen for seen in accepted if seen not in passed_on]
    if len(open_to_all) > 1:
        why = "the endpoint is open: without a credential or with a wrong one the stream comes too (--public allows it)"
        return unmet(why, *(seen.note(f"{seen.variant}: {seen.how_it_went()}") for seen in open_to_all))
    nothing = inconclusive("no request without a valid credential was answered", "an endpoint that answers")
    return worst((_unauthenticated(seen) for seen in asked if seen not in passed_on), nothing)


def _unauthenticated(seen: Observed) -> Finding:
    status, head = seen.status or 0, seen.head
    if status == 401 and head is not None and not head.get("www-authenticate"):
        return lesser(
            f"{seen.variant}: 401 without WWW-Authenticate", seen.header("WWW-Authenticate"), cause="no-challenge"
        )
    if status in (401, 403):
        return met(f"{seen.variant}: {_refusal(seen)}")
    return unmet(f"{seen.variant}: {seen.how_it_went()}", seen.note(seen.how_it_went()))


@whole_case(
    Requirement(
        "http.accept-negotiation",
        SHOULD,
        Severity.LOW,
        Basis.SPEC,
        "Accept: text/event-stream, */* and no Accept at all give the same stream; application/json gives "
        "the stream, JSON or 406.",
        references=(
            EVENTSOURCE,
            wpt("request-accept"),
            rfc(9110, "12.5.1", "Accept"),
            rfc(9110, "15.5.7", "406 Not Acceptable"),
        ),
        breaks=(
            "EventSource sends text/event-stream, openai-python sends application/json, and MCP clients send both."
        ),
        fix="Decide by the request's own stream flag, and leave content negotiation out of the streaming route.",
    ),
    scenarios=("accept", "gzip", "http10"),
    expected="the same answer for text/event-stream, */* and no Accept; a stream, JSON or 406 for application/json",
)
def accept_negotiation(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.of(("accept", "gzip", "http10")):
        if seen.scenario == "http10" and seen.status in (426, 505):
            continue  # refused because of its HTTP version
        if seen.head is None:
            found.append(inconclusive(f"{seen.label}: {seen.how_it_went()}", SEE))
        elif "json" in (seen.variant or ""):
            if not seen.streams and seen.status not in (200, 406):
                found.append(info(f"{seen.label} gets {seen.how_it_went()}", seen.note(seen.how_it_went())))
        elif not seen.streams:
            found.append(unmet(f"{seen.label} gets {seen.how_it_went()}", seen.note(seen.how_it_went())))
    return worst(found, met("every Accept that includes event streams gets the stream"))
