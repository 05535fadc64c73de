"""flush.*: the head of the answer."""

from harness.conformance.cases import Case, Observed
from harness.conformance.checks.errors import joined
from harness.conformance.registry import Finding, met, per_stream, unmet
from harness.conformance.requirement import SHOULD, Basis, Fix, Requirement, Severity
from harness.conformance.sources import guides, issue
from harness.units import show_ms


@per_stream(
    Requirement(
        "flush.headers-early",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The head of the answer comes before 15 s of silence are over, however long the model thinks.",
        references=(
            issue("BerriAI/litellm", 34374),
            guides("the status is fixed by the first byte"),
        ),
        breaks="Gateways that wait for a first byte: CloudFront for 30 s, nginx and AWS load balancers for 60 s.",
        fix=Fix(
            "Wait for the first item of the upstream for some 10 s at most, then send the head.",
            aspnet="await Task.WhenAny(first, Task.Delay(10_000, ct)); await response.StartAsync(ct);",
            python="await asyncio.wait({first}, timeout=10) # then return the StreamingResponse, comments first",
            node="setTimeout(() => res.flushHeaders(), 10_000)",
        ),
    ),
    reads=("quiet-start",),
    wants=lambda _seen: True,
    expected="the head within 15 s",
)
def headers_early(seen: Observed, case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    capture = seen.transcript.capture
    asked = capture.sent_ns or capture.start_ns
    if capture.head is None or capture.head_read is None:
        waited = show_ms((capture.end_ns or asked) - asked)
        return unmet(f"no head came in {waited} of silence", seen.note(capture.detail or seen.how_it_went()))
    waited_ns = capture.reads[capture.head_read].t_ns - asked
    if waited_ns > case.heartbeat_ns:
        return unmet(f"the head came after {show_ms(waited_ns)}", seen.note(f"{show_ms(waited_ns)} without a byte"))
    return met(f"the head came {show_ms(waited_ns)} after the request, before the first token")
