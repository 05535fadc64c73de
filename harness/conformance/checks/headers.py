"""headers.*: the response head of the stream."""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed, printable
from streamgauge.conformance.checks.errors import REFUSALS
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import CORS, EVENTSOURCE, OLLAMA, guides, rfc, wpt
from streamgauge.conformance.wants import answer, stream
from streamgauge.protocol.dialects.base import SSE_TYPE, Media
from streamgauge.wire import succeeds

DAY_S: Final = 86_400
NS: Final = 1_000_000_000
REQUEST_ID_HEADERS: Final = (
    "x-request-id", "request-id", "x-correlation-id", "traceparent", "apim-request-id", "x-amzn-requestid",
    "x-ms-request-id", "x-trace-id", "cf-ray",
)  # fmt: skip
UPSTREAMS_OWN: Final = ("pre-error", "upstream-errors")  # for errors.rate-limit-kept
_MAX_AGE: Final = re.compile(r"\b(?:s-maxage|max-age)\s*=\s*\"?0*[1-9]")
_NO_STORE: Final = re.compile(r"\bno-(?:cache|store)\b")


@per_stream(
    Requirement(
        "headers.content-type",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "An event stream has one Content-Type, text/event-stream, with no charset but utf-8, and its body is "
        "not an HTML page; NDJSON has application/x-ndjson.",
        references=(
            EVENTSOURCE,
            wpt("format-mime-bogus", "format-mime-trailing-semicolon", "format-utf-8"),
            OLLAMA,
        ),
        breaks="Browser EventSource closes for good; httpx-sse raises; proxies and compressors decide by it.",
        fix="Set Content-Type before the first byte, and keep catch-all routes away from the API.",
        lesser="A charset in Content-Type is utf-8, which is how every stream is read.",
        causes={
            "charset": "Leave the charset out, or write charset=utf-8.",
            "html": "Keep the HTML of login pages and catch-all routes away from the API's paths.",
        },
    ),
    scenarios=PLAIN,
    wants=answer,
    expected=f"exactly one Content-Type, the dialect's ({SSE_TYPE} for events), charset absent or utf-8",
)
def content_type(seen: Observed, case: Case) -> Finding | None:
    head = seen.head
    if head is None or not succeeds(head.status):
        return None
    wanted = (seen.transcript.media or Media.SSE) if case.dialect is None else case.dialect.media
    values = head.all("content-type")
    evidence = seen.header("Content-Type")
    if len(values) != 1:
        return unmet(f"{len(values)} Content-Type headers" if values else "no Content-Type", evidence)
    if head.media_type != wanted:
        mismatch = "; the body is an event stream all the same" if seen.is_event_stream else ""
        if seen.transcript.media is Media.ARRAY:
            array = "one JSON array that is sent whole" if head.get("content-length") else "one growing JSON array"
            mismatch = f": the tokens are items of {array}, which no EventSource and no SSE client reads"
        return unmet(f"Content-Type is {printable(values[0])}{mismatch}", evidence)
    if wanted is Media.SSE and seen.transcript.body.lstrip()[:1] == b"<":
        return unmet("the body is HTML", seen.at(0), cause="html")
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]+)", values[0], re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        return lesser(f"charset is {printable(charset[1])}: streams are read as UTF-8", evidence, cause="charset")
    return met(values[0])


@per_stream(
    Requirement(
        "headers.cache-control",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Cache-Control forbids the reuse of a stream: it has no-cache or no-store, and neither public nor a lifetime.",
        references=(
            EVENTSOURCE,
            rfc(9111, "5.2.2", "Response Directives"),
            guides("Cache-Control: no-cache"),
        ),
        breaks="Caches and browsers give an old answer again; compressors on the way hold tokens.",
        fix="Send Cache-Control: no-cache, no-store, no-transform; it concerns caches and compressors, not buffering.",
        causes={
            "cached": "Exclude this route from the cache in front of it: the stream was cached.",
        },
    ),
    scenarios=HAPPY,
    wants=stream,
    expected="no-cache or no-store",
)
def cache_control(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    value = (head.get("cache-control") or "").lower() if head else ""
    if head is not None and head.get("age") is not None:
        return unmet("an Age header: the stream came from a cache", seen.header("Age"), cause="cached")
    if _MAX_AGE.search(value) or re.search(r"\bpublic\b", value):
        return unmet("caches may store and replay the stream", seen.header("Cache-Control"))
    if _NO_STORE.search(value):
        return met(printable(value))
    return unmet(
        "Cache-Control has neither no-cache nor no-store" if value else "no Cache-Control", seen.header("Cache-Control")
    )


@per_stream(
    Requirement(
        "headers.x-accel-buffering",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "The answer carries X-Accel-Buffering: no, so that an nginx with its default settings passes it on at once.",
        references=(
            ("nginx, proxy_buffering: https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering"),
            guides("X-Accel-Buffering: no"),
        ),
        breaks=(
            "Behind nginx and ingress controllers built on it, the time to the first token becomes the time of "
            "the whole answer."
        ),
        fix="Send the header, or turn buffering off in every proxy; nginx removes the header as it forwards.",
    ),
    scenarios=HAPPY,
    wants=stream,
    expected="X-Accel-Buffering: no",
)
def x_accel_buffering(seen: Observed, case: Case) -> Finding:
    head = seen.head
    value = (head.get("x-accel-buffering") or "").lower() if head else ""
    if value == "no":
        return met("X-Accel-Buffering: no")
    if value == "yes":
        return unmet("X-Accel-Buffering: yes tells proxies to buffer", seen.header("X-Accel-Buffering"))
    lockstep = [step for one in case.of(("lockstep",)) for step in one.steps]
    behind_nginx = head is not None and (head.get("server") or "").lower().startswith("nginx")
    through_proxy = behind_nginx or (head is not None and head.get("via") is not None)
    if through_proxy and lockstep and not any(step.timed_out for step in lockstep):
        return not_applicable("a proxy is in the path, and the lockstep run proves that nothing buffers")
    if behind_nginx and not lockstep:
        return inconclusive(
            "nginx removes the header from answers that it forwards", f"the URL behind nginx; or {MOCK}"
        )
    return unmet("no X-Accel-Buffering", seen.header("X-Accel-Buffering"))


@per_stream(
    Requirement(
        "headers.no-content-encoding",
        SHOULD,
        Severity.HIGH,
        Basis.OPS,
        "The stream is not compressed, even when the client accepts compression.",
        references=(
            rfc(9110, "8.4", "Content-Encoding"),
            rfc(9110, "12.5.5", "Vary"),
            guides("no compression of the stream"),
        ),
        breaks=(
            "Tokens wait in the compressor; simple clients have no decoder; the length of compressed tokens reveals"
            " their text."
        ),
        fix="Leave text/event-stream out of the media types that are compressed.",
    ),
    scenarios=(*HAPPY, "gzip"),
    wants=stream,
    expected="no Content-Encoding, even when compression is offered",
)
def no_content_encoding(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    coding = (head.get("content-encoding") or "").strip().lower() if head else ""
    if not coding:
        return met("not compressed")
    evidence = seen.header("Content-Encoding")
    if coding == "identity":
        return info("Content-Encoding: identity (how TypedResults.ServerSentEvents disarms compression)", evidence)
    if not seen.offers_gzip:
        return unmet(f"{printable(coding)} although no compression was offered", evidence)
    return unmet(f"the stream is compressed: {printable(coding)}", evidence)


@per_stream(
    Requirement(
        "headers.no-duplicates",
        SHOULD,
        Severity.MEDIUM,
        Basis.SPEC,
        "Content-Type, Cache-Control, Content-Encoding and Access-Control-Allow-Origin each come once.",
        references=(
            rfc(9110, "5.3", "Field Order"),
            CORS,
        ),
        breaks=(
            "Browsers refuse two values of Access-Control-Allow-Origin; httpx joins them with a comma, and the "
            "media type no longer matches."
        ),
        fix="Set each header in one place, and drop the proxy's copy or the application's.",
    ),
    scenarios=PLAIN,
    wants=answer,
    expected="one each of Content-Type, Cache-Control, Content-Encoding and Access-Control-Allow-Origin",
)
def no_duplicates(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    for name in ("Content-Type", "Access-Control-Allow-Origin"):
        if head is not None and len(head.all(name)) > 1:
            return unmet(f"the header {name} comes {len(head.all(name))} times", seen.header(name))
    for name in ("Cache-Control", "Content-Encoding"):
        if head is not None and len(head.all(name)) > 1:
            return unmet(f"the header {name} comes {len(head.all(name))} times", seen.header(name))
    return met("each header comes at most once")


@whole_case(
    Requirement(
        "headers.retry-after",
        SHOULD,
        Severity.MEDIUM,
        Basis.SPEC,
        "A 429 or 503 says in Retry-After, as seconds or a date within a day, when to try again.",
        references=(
            rfc(6585, "4", "429 Too Many Requests"),
            rfc(9110, "10.2.3", "Retry-After"),
        ),
        breaks="The SDKs of OpenAI and Anthropic read it; without it they retry at times of their own.",
        fix="Send Retry-After with every 429 and 503, and pass on that of the upstream.",
        causes={
            "unreadable": "Write Retry-After as whole seconds or as an HTTP date: this value is unreadable.",
        },
    ),
    scenarios=(*HAPPY, *REFUSALS),
    watches=True,
    expected="whole seconds or a near HTTP date on 429 and 503",
    broken_by=BrokenBy(fault="no-retry-after", mock="--key-rate 5"),
)
def retry_after(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        if seen.status not in (429, 503) or seen.head is None or seen.scenario in UPSTREAMS_OWN:
            continue
        value = seen.head.get("retry-after")
        evidence = seen.header("Retry-After")
        if value is None:
            found.append(unmet(f"{seen.label}: {seen.status} without Retry-After", evidence))
            continue
        seconds = _retry_seconds(value, seen.transcript.capture.end_ns)
        if seconds is None or not -60 <= seconds <= DAY_S:
            found.append(unmet(f"{seen.label}: Retry-After is {printable(value)!r}", evidence, cause="unreadable"))
        else:
            found.append(met(f"Retry-After: {printable(value)}"))
    return worst(found, not_applicable("no answer was 429 or 503"))


def _retry_seconds(value: str, now_ns: int | None) -> float | None:
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        return parsedate_to_datetime(value).timestamp() - (now_ns or 0) / NS
    except (ValueError, TypeError, OverflowError):
        return None


@whole_case(
    Requirement(
        "headers.request-id",
        SHOULD,
        Severity.LOW,
        Basis.GUIDE,
        "The answer carries an identifier of the request, such as x-request-id or traceparent, and each request"
        " gets a new one.",
        references=(
            "W3C Trace Context: https://www.w3.org/TR/trace-context/",
            guides("log the request id"),
        ),
        breaks="A user's complaint cannot be found in the logs.",
        fix="Return in a header the identifier under which the request is logged.",
    ),
    scenarios=HAPPY,
    expected="a request identifier that differs between requests",
)
def request_id(case: Case) -> Finding:
    seen = [one for one in case.of(HAPPY) if one.head is not None]
    ids = [(name, value) for one in seen if (name := _id_header(one)) and one.head and (value := one.head.get(name))]
    if not seen:
        return inconclusive("no answer came", "an endpoint that answers")
    if len(ids) < len(seen):
        return info(
            "no request identifier: a user's report cannot be matched with the log", seen[0].header("X-Request-Id")
        )
    if len(ids) > 1 and len({value for _, value in ids}) < len(ids):
        return unmet(f"{ids[0][0]} is the same on different requests", *(one.header(ids[0][0]) for one in seen))
    return met(f"{ids[0][0]} is sent" + (" and differs between requests" if len(ids) > 1 else ""))


def _id_header(seen: Observed) -> str | None:
    return next((name for name in REQUEST_ID_HEADERS if seen.head is not None and seen.head.get(name)), None)
