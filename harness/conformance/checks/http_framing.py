"""http.*: how HTTP/1.1 marks the end of a stream's body."""

from typing import Final

from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed, printable, visible
from streamgauge.conformance.finding import Finding, inconclusive, info, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import FRAMING, STREAM
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.result import Evidence
from streamgauge.conformance.sources import NGINX_PROXY, guides, issue, rfc, source
from streamgauge.conformance.wants import answer, anything, stream
from streamgauge.wire import End, Framing

_HEAD_BYTES: Final = 4_096


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
        causes={
            "ends-by-close": (
                "Let the server chunk the body: answer as HTTP/1.1, and set no Connection: close, which turns the"
                " chunking of some servers off."
            ),
        },
        lesser="The end of the body is marked by the transfer coding, and not only by the end of the connection.",
    ),
    scenarios=PLAIN,
    wants=anything,
    expected="chunked transfer coding, ended by a zero-size chunk",
    judges_framing=True,
)
def chunked_framing(seen: Observed, _case: Case) -> Finding | None:
    capture = seen.transcript.capture
    if capture.end in (End.CANCELLED, End.INTERRUPTED, None):
        return None
    if capture.fault is not None and not capture.fault.readable:
        return inconclusive(f"the body cannot be read: {capture.fault.what}", FRAMING)
    if not seen.streams and not seen.broken_framing:
        return None
    detail = capture.detail or ""
    if seen.broken_framing:
        return unmet(f"the chunks are broken: {detail}", seen.note(detail))
    if capture.end is End.TIMEOUT:
        # That it goes on is for termination.explicit-end and termination.closes-after-terminal.
        return inconclusive(f"{detail}, so it was left before its end", "a body that ends with its stream")
    if capture.end is not End.COMPLETE:
        return unmet(f"the body does not end: {detail or capture.end}", seen.note(detail or capture.end.value))
    if capture.trailing:
        trailing = printable(capture.trailing.decode("latin-1"))
        return unmet("bytes follow the end of the response", seen.note(trailing))
    if capture.framing is Framing.CLOSE and seen.head is not None and seen.head.http_version != "1.0":
        return lesser(
            "the body ends when the connection closes: a client cannot tell a cut from the end",
            seen.header("Transfer-Encoding"),
            cause="ends-by-close",
        )
    return met(f"{capture.framing}, complete")


@whole_case(
    Requirement(
        "http.unambiguous-framing",
        MUST,
        Severity.CRITICAL,
        Basis.SPEC,
        "The head of a response over HTTP/1.1 is valid and says in one way how the body ends: by one header line, "
        "Transfer-Encoding: chunked or Content-Length.",
        references=(
            rfc(9112, "6.1", "Transfer-Encoding"),
            rfc(9112, "6.3", "Message Body Length"),
            rfc(9112, "5", "Field Syntax"),
            source("httpx 0.28, run", "RemoteProtocolError at a second Transfer-Encoding or a coding beside chunked"),
            source("Go, net/http, read", "a client refuses a response with two Transfer-Encoding fields"),
            source("nginx 1.23 and later, read", "502 when the upstream sends Transfer-Encoding twice"),
        ),
        breaks=(
            "Readers differ: curl reads the stream, httpx and Go's client raise, nginx answers 502, others wait "
            "for ever. A length beside chunks, or two lengths, invite request smuggling."
        ),
        fix=(
            "Set neither Transfer-Encoding nor Content-Length in the application or in a relay's copied headers: the "
            "server writes them."
        ),
    ),
    scenarios=PLAIN,
    expected="one Transfer-Encoding: chunked or one Content-Length, and a valid head",
    judges_framing=True,
)
def unambiguous_framing(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        fault = seen.transcript.capture.fault
        if fault is not None and seen.scenario != "http10":  # which http.http10-no-chunked judges
            reading = "" if fault.readable else ": this client cannot read the body"
            found.append(unmet(f"{fault.what}{reading}", _head_evidence(seen)))
    return worst(found, met("the head says in one way how the body ends"))


def _head_evidence(seen: Observed) -> Evidence:
    """The fields that say how the body ends, or the head as it came where it was refused."""
    if seen.head is not None:
        return seen.header("Transfer-Encoding" if seen.head.get("transfer-encoding") else "Content-Length")
    head = b"".join(seen.transcript.capture.wire or ())[:_HEAD_BYTES].partition(b"\r\n\r\n")[0]
    return seen.note(visible(head) or seen.how_it_went())


@per_stream(
    Requirement(
        "http.no-content-length",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "A stream has no Content-Length, because a server that knows the length held the answer back until it was "
        "complete.",
        references=(
            rfc(9112, "6.2", "Content-Length"),
            rfc(9112, "6.3", "Message Body Length"),
            guides("no output caching or buffering"),
        ),
        breaks="Nothing can be shown before the end.",
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
    judges_framing=True,
)
def http10_no_chunked(seen: Observed, case: Case) -> Finding:
    if any(one.transcript.capture.fault for one in case.of(HAPPY)):
        return not_applicable("over HTTP/1.1 the framing is wrong too (see http.unambiguous-framing)")
    if seen.status in (426, 505):
        return info(f"HTTP/1.0 is refused with {seen.status}")
    if seen.head is not None and seen.head.get("transfer-encoding"):
        return unmet("an HTTP/1.0 client gets chunk sizes in its text", seen.header("Transfer-Encoding"))
    if seen.streams:
        return met("a body without chunks")
    return inconclusive(f"no stream for HTTP/1.0: {seen.how_it_went()}", STREAM)
