"""http.*: how HTTP/1.1 marks the end of a stream's body."""

from streamgauge.conformance.cases import Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, unmet
from streamgauge.conformance.permissions import STREAM
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.ordinary import PLAIN
from streamgauge.conformance.sources import NGINX_PROXY, guides, issue, rfc
from streamgauge.conformance.wants import answer, stream
from streamgauge.wire import End, Framing


@per_stream(
    Requirement(
        "http.chunked-framing",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "A stream over HTTP/1.1 is chunked and ends with a zero-size chunk; a stream over HTTP/2 ends with "
        "END_STREAM. Nothing follows.",
        references=(
            rfc(9112, "6.3", "Message Body Length"),
            rfc(9112, "7.1", "Chunked Transfer Coding"),
            rfc(9112, "8", "Handling Incomplete Messages"),
            rfc(9113, "8.1", "HTTP Message Framing"),
            issue("vllm-project/vllm", 2694),
        ),
        breaks=(
            "httpx raises RemoteProtocolError, aiohttp ClientPayloadError, .NET HttpIOException (ResponseEnded); "
            "browsers reconnect; if the connection's close ends the body, no client notices a cut."
        ),
        fix=(
            "Catch failures in the handler, send an error event and return; raise the time limits of the proxy or "
            "server that cuts the connection."
        ),
        lesser="The end of the body is marked by the transfer coding, and not only by the end of the connection.",
    ),
    scenarios=PLAIN,
    wants=stream,
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
        return lesser(
            "the body ends when the connection closes: a client cannot tell a cut from the end",
            seen.header("Transfer-Encoding"),
        )
    return met(f"{capture.framing}, complete")


@per_stream(
    Requirement(
        "http.no-content-length",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "A stream has no Content-Length, because a server that knows the length held the answer back until it was "
        "complete; it never has both Content-Length and Transfer-Encoding.",
        references=(
            rfc(9112, "6.2", "Content-Length"),
            rfc(9112, "6.3", "Message Body Length"),
            guides("no output caching or buffering"),
        ),
        breaks="Nothing can be shown before the end; both headers together invite request smuggling.",
        fix=(
            "Remove the layer that collects the answer: output caching, response buffering, or middleware that reads "
            "the whole body."
        ),
    ),
    scenarios=PLAIN,
    wants=stream,
    expected="no Content-Length",
)
def no_content_length(seen: Observed, _case: Case) -> Finding:
    head = seen.head
    if head is None or head.get("content-length") is None:
        return met("no Content-Length")
    if head.get("transfer-encoding") is not None:
        return unmet("Content-Length and Transfer-Encoding together", seen.header("Content-Length"))
    if len(seen.transcript.tokens) < 2:
        return info("Content-Length on an answer of fewer than two tokens", seen.header("Content-Length"))
    return unmet("Content-Length: the whole answer was held until it was complete", seen.header("Content-Length"))


@per_stream(
    Requirement(
        "http.http10-no-chunked",
        SHOULD,
        Severity.LOW,
        Basis.SPEC,
        "The answer to an HTTP/1.0 request has no Transfer-Encoding, and its body ends when the connection closes.",
        references=(
            rfc(9112, "6.1", "Transfer-Encoding"),
            NGINX_PROXY,
        ),
        breaks="nginx before 1.29.7 speaks HTTP/1.0 to its upstream by default: chunk sizes would stand in the text.",
        fix="Write no chunks by hand: the server chooses the framing by the request's HTTP version.",
    ),
    scenarios=("http10",),
    wants=answer,
    expected="no Transfer-Encoding, and a body that ends when the connection closes",
)
def http10_no_chunked(seen: Observed, _case: Case) -> Finding:
    if seen.status in (426, 505):
        return info(f"HTTP/1.0 is refused with {seen.status}")
    if seen.head is not None and seen.head.get("transfer-encoding"):
        return unmet("an HTTP/1.0 client gets chunk sizes in its text", seen.header("Transfer-Encoding"))
    if seen.streams:
        return met("a body without chunks")
    return inconclusive(f"no stream for HTTP/1.0: {seen.how_it_went()}", STREAM)
