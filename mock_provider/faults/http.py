"""Wrong response heads, and answers that are not a stream."""

from collections.abc import Callable

from streamgauge.mock_provider.faults.base import Answer, Arg, Facts, Fault
from streamgauge.mock_provider.stream import Framing, Head

_CHUNKED = frozenset({"stream", "http/1.1"})
EVENTS = "text/event-stream"
HTML = b"<!doctype html>\n<title>Welcome</title>\n<p>This is a page, not a stream.</p>\n"


def _html(_arg: Arg, _facts: Facts) -> Answer:
    return Answer(200, "text/html; charset=utf-8", HTML)


def _strict_accept(_arg: Arg, facts: Facts) -> Answer | None:
    offers = [offer.partition(";")[0].strip().lower() for offer in (facts.accept or "").split(",")]
    if EVENTS in offers:
        return None
    return Answer(406, *facts.error_reply(406, f"expected {EVENTS} in Accept, got {facts.accept or 'no Accept'}"))


def _wrong_type(head: Head, arg: Arg, _facts: Facts) -> None:
    head.replace("Content-Type", arg.word or "text/plain")


def _no_type(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.replace("Content-Type", None)


def _two_types(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.headers.append(("Content-Type", "application/json"))


def _double(head: Head, _arg: Arg, _facts: Facts) -> None:
    # A repeated coding would be a different fault: no client could read the body.
    coding = ("Transfer-Encoding", "Content-Encoding", "Connection")
    fields = [pair for pair in head.headers if pair[0] not in coding]
    head.headers += fields


def _content_length(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.framing = Framing.LENGTH


def _cache_public(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.replace("Cache-Control", "public, max-age=3600")


def _no_accel(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.replace("X-Accel-Buffering", None)


def _constant_id(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.replace("X-Request-Id", "req_000000000000000000000000")


def _no_id(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.replace("X-Request-Id", None)


def close_delimited(head: Head, _arg: Arg, _facts: Facts) -> None:
    """The body ends with the connection."""
    head.framing = Framing.CLOSE
    head.replace("Transfer-Encoding", None)
    head.replace("Connection", "close")


def _chunked(head: Head, _arg: Arg, _facts: Facts) -> None:
    head.framing = Framing.CHUNKED
    head.replace("Transfer-Encoding", "chunked")


def _adding(name: str, value: str) -> Callable[[Head, Arg, Facts], None]:
    """Adds a field behind the others."""

    def head(head: Head, _arg: Arg, _facts: Facts) -> None:
        head.headers.append((name, value))

    return head


def _without_retry_after(answer: Answer) -> Answer:
    return answer._replace(headers=tuple(field for field in answer.headers if field[0] != "Retry-After"))


FAULTS = (
    Fault(
        name="html-200",
        sentence="status 200 with an HTML page instead of the stream",
        level="http",
        streams=False,
        trips=("headers.content-type",),
        needs=frozenset(),
        answer=_html,
    ),
    Fault(
        name="wrong-content-type",
        sentence="the stream is labelled TYPE (default text/plain)",
        level="http",
        trips=("headers.content-type",),
        takes="type",
        head=_wrong_type,
    ),
    Fault(
        name="no-content-type",
        sentence="the stream has no Content-Type",
        level="http",
        trips=("headers.content-type",),
        head=_no_type,
    ),
    Fault(
        name="two-content-types",
        sentence="a second Content-Type says application/json",
        level="http",
        trips=("headers.content-type", "headers.no-duplicates"),
        head=_two_types,
    ),
    Fault(
        name="double-headers",
        sentence="every field comes twice with the same value, except those that encode the body",
        level="http",
        trips=("headers.no-duplicates",),
        head=_double,
    ),
    Fault(
        name="content-length",
        sentence="the stream is collected and sent whole with its Content-Length",
        level="http",
        trips=("http.no-content-length", "flush.incremental", "flush.lockstep", "flush.burstiness"),
        needs=frozenset({"stream", "finite"}),
        head=_content_length,
    ),
    Fault(
        name="cache-public",
        sentence="Cache-Control lets shared caches store the stream",
        level="http",
        trips=("headers.cache-control",),
        head=_cache_public,
    ),
    Fault(
        name="no-accel-header",
        sentence="X-Accel-Buffering is missing",
        level="http",
        trips=("headers.x-accel-buffering",),
        head=_no_accel,
    ),
    Fault(
        name="constant-request-id",
        sentence="every stream has the same request id",
        level="http",
        trips=("headers.request-id",),
        head=_constant_id,
    ),
    Fault(
        name="no-request-id",
        sentence="the stream has no request id",
        level="http",
        trips=("headers.request-id",),
        head=_no_id,
    ),
    Fault(
        name="close-delimited",
        sentence="on HTTP/1.1 neither Transfer-Encoding nor Content-Length: the body ends with the connection",
        level="http",
        trips=("http.chunked-framing",),
        needs=frozenset({"stream", "http/1.1"}),
        head=close_delimited,
    ),
    Fault(
        name="coding-twice",
        sentence="Transfer-Encoding: chunked comes in two header lines, and the body is chunked once",
        level="http",
        trips=("http.unambiguous-framing",),
        needs=_CHUNKED,
        head=_adding("Transfer-Encoding", "chunked"),
    ),
    Fault(
        name="coding-identity",
        sentence="Transfer-Encoding: identity follows Transfer-Encoding: chunked",
        level="http",
        streams=False,
        trips=("http.unambiguous-framing",),
        needs=_CHUNKED,
        head=_adding("Transfer-Encoding", "identity"),
    ),
    Fault(
        name="length-beside-chunks",
        sentence="Content-Length comes beside Transfer-Encoding: chunked",
        level="http",
        streams=False,
        trips=("http.unambiguous-framing",),
        needs=_CHUNKED,
        head=_adding("Content-Length", "65536"),
    ),
    Fault(
        name="folded-header",
        sentence="a header field is folded over two lines, which HTTP/1.1 no longer allows",
        level="http",
        streams=False,
        trips=("http.unambiguous-framing",),
        needs=_CHUNKED,
        head=_adding("X-Note", "one line\r\n and another"),
    ),
    Fault(
        name="http10-chunked",
        sentence="the answer to an HTTP/1.0 request is chunked, so the client takes chunk sizes for text",
        level="http",
        trips=("http.http10-no-chunked",),
        needs=frozenset({"stream", "http/1.0"}),
        head=_chunked,
    ),
    Fault(
        name="strict-accept",
        sentence=f"406 unless Accept names {EVENTS} itself: a wildcard or a missing Accept is refused",
        level="http",
        trips=("http.accept-negotiation",),
        needs=frozenset({"stream", "sse"}),
        answer=_strict_accept,
    ),
    Fault(
        name="no-retry-after",
        sentence="429 and 503 without Retry-After",
        level="http",
        trips=("headers.retry-after", "errors.rate-limit-kept"),
        needs=frozenset(),
        answered=_without_retry_after,
    ),
)
