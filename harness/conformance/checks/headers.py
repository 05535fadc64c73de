"""headers.*: the response head of the stream."""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from harness.conformance.cases import Case, Observed, printable
from harness.conformance.checks.http import answered, streams
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
from harness.conformance.scenarios import HAPPY, PLAIN, SCENARIOS
from harness.dialects.base import Media
from harness.stream import SSE_TYPE

DAY_S: Final = 86_400
NS: Final = 1_000_000_000
REQUEST_ID_HEADERS: Final = (
    "x-request-id", "request-id", "x-correlation-id", "traceparent", "apim-request-id", "x-amzn-requestid",
    "x-ms-request-id", "x-trace-id", "cf-ray",
)  # fmt: skip
_MAX_AGE: Final = re.compile(r"\b(?:s-maxage|max-age)\s*=\s*\"?0*[1-9]")
_NO_STORE: Final = re.compile(r"\bno-(?:cache|store)\b")


@per_stream(
    "headers.content-type",
    reads=PLAIN,
    wants=answered,
    expected=f"exactly one Content-Type, the dialect's ({SSE_TYPE} for events), charset absent or utf-8",
)
def content_type(seen: Observed, case: Case) -> Finding | None:
    head = seen.head
    if head is None or seen.status != 200:
        return None
    wanted = Media.SSE if case.dialect is None else case.dialect.media
    values = head.all("content-type")
    evidence = seen.header("Content-Type")
    if len(values) != 1:
        return unmet(f"{len(values)} Content-Type headers" if values else "no Content-Type", evidence)
    if head.media_type != wanted:
        mismatch = "; the body is an event stream all the same" if seen.is_event_stream else ""
        return unmet(f"Content-Type is {printable(values[0])}{mismatch}", evidence)
    if wanted is Media.SSE and seen.transcript.body.lstrip()[:1] == b"<":
        return unmet("the body is HTML", seen.at(0))
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]+)", values[0], re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        return warn(f"charset is {printable(charset[1])}: streams are read as UTF-8", evidence)
    return met(values[0])


@per_stream("headers.cache-control", reads=HAPPY, wants=streams, expected="no-cache or no-store")
def cache_control(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    value = (head.get("cache-control") or "").lower() if head else ""
    if head is not None and head.get("age") is not None:
        return fail("an Age header: the stream came from a cache", seen.header("Age"))
    if _MAX_AGE.search(value) or re.search(r"\bpublic\b", value):
        return fail("caches may store and replay the stream", seen.header("Cache-Control"))
    if _NO_STORE.search(value):
        return met(printable(value))
    return unmet(
        "Cache-Control has neither no-cache nor no-store" if value else "no Cache-Control", seen.header("Cache-Control")
    )


@per_stream("headers.x-accel-buffering", reads=HAPPY, wants=streams, expected="X-Accel-Buffering: no")
def x_accel_buffering(seen: Observed, case: Case) -> Finding:
    head = seen.head
    value = (head.get("x-accel-buffering") or "").lower() if head else ""
    if value == "no":
        return met("X-Accel-Buffering: no")
    if value == "yes":
        return fail("X-Accel-Buffering: yes asks proxies to buffer", seen.header("X-Accel-Buffering"))
    lockstep = [step for one in case.of(("lockstep",)) for step in one.steps]
    through_proxy = head is not None and head.get("via") is not None
    if through_proxy and lockstep and not any(step.timed_out for step in lockstep):
        return not_applicable("a proxy is in the path, and the lockstep run proves that nothing buffers")
    return unmet(
        "no X-Accel-Buffering (nginx hides it, so behind nginx this proves nothing)", seen.header("X-Accel-Buffering")
    )


@per_stream(
    "headers.no-content-encoding",
    reads=(*HAPPY, "gzip"),
    wants=streams,
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
        return fail(f"{printable(coding)} although no compression was offered", evidence)
    return unmet(f"the stream is compressed: {printable(coding)}", evidence)


@per_stream(
    "headers.no-duplicates",
    reads=PLAIN,
    wants=answered,
    expected="one each of Content-Type, Cache-Control, Content-Encoding and Access-Control-Allow-Origin",
)
def no_duplicates(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    for name in ("Content-Type", "Access-Control-Allow-Origin"):
        if head is not None and len(head.all(name)) > 1:
            return fail(f"{name} stands {len(head.all(name))} times", seen.header(name))
    for name in ("Cache-Control", "Content-Encoding"):
        if head is not None and len(head.all(name)) > 1:
            return unmet(f"{name} stands {len(head.all(name))} times", seen.header(name))
    return met("each at most once")


@whole_case("headers.retry-after", reads=tuple(SCENARIOS), expected="whole seconds or a near HTTP date on 429 and 503")
def retry_after(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        if seen.status not in (429, 503) or seen.head is None:
            continue
        value = seen.head.get("retry-after")
        evidence = seen.header("Retry-After")
        if value is None:
            found.append(unmet(f"{seen.label}: {seen.status} without Retry-After", evidence))
            continue
        seconds = _retry_seconds(value, seen.transcript.capture.end_ns)
        if seconds is None or not -60 <= seconds <= DAY_S:
            found.append(fail(f"{seen.label}: Retry-After is {printable(value)!r}", evidence))
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


@whole_case("headers.request-id", reads=HAPPY, expected="a request identifier that differs between requests")
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
