"""http.*: header fields that HTTP/2 forbids."""

from typing import Final

from streamgauge.conformance.cases import HAPPY, Case, Observed
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import guides, issue, rfc
from streamgauge.conformance.wants import anything

# RFC 9113 section 8.2.2.
CONNECTION_SPECIFIC: Final = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")


@per_stream(
    Requirement(
        "http.h2-no-connection-headers",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "Over HTTP/2 no Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or Upgrade field is sent.",
        references=(
            rfc(9113, "8.2.2", "Connection-Specific Header Fields"),
            issue("ktorio/ktor", 5220),
            issue("envoyproxy/envoy", 3788),
            issue("apache/tomcat", 277),
            guides("Connection: keep-alive belongs to HTTP/1.1 alone"),
        ),
        breaks="Safari, curl and nghttp2 reject the stream as malformed (ERR_HTTP2_PROTOCOL_ERROR).",
        fix="Delete the line that sets Connection: HTTP/1.1 keeps connections open without it.",
    ),
    scenarios=(*HAPPY, "http2"),
    wants=anything,
    expected="no connection-specific field over HTTP/2",
)
def h2_no_connection_headers(seen: Observed, case: Case) -> Finding | None:
    head, detail = seen.head, seen.transcript.capture.detail or ""
    if head is not None and head.http_version == "2":
        forbidden = next((name for name in CONNECTION_SPECIFIC if head.get(name) is not None), None)
        if forbidden is not None:
            return unmet(f"over HTTP/2 the answer has a {forbidden} field", seen.header(forbidden))
        return met("no connection-specific field over HTTP/2")
    if "onnection-specific" in detail:  # the HTTP/2 library's message when it refuses the answer
        return unmet(f"the answer is not valid HTTP/2: {detail}", seen.note(detail))
    if seen.scenario != "http2":
        if seen.scenario == HAPPY[0] and not case.of(("http2",)):
            return inconclusive("not tried: HTTP/2 without TLS is tested only on request", "--http2")
        return None
    return not_applicable(f"HTTP/2 is not offered: {detail or seen.how_it_went()}")
