"""flush.*: when the response head arrives, and whether a proxy on the path holds tokens back."""

from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from streamgauge.conformance.applies import two_paths
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.checks.flush import LONGER
from streamgauge.conformance.finding import Finding, inconclusive, met, unmet
from streamgauge.conformance.hop import changed_headers
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import NGINX_PROXY, guides, issue
from streamgauge.conformance.wants import anything
from streamgauge.units import show_ms

LATE: Final = 1.2  # heartbeat intervals: a heartbeat that is sent every 15 s arrives a little later
MIN_TOKENS: Final = 10
FEWER: Final = 4  # with 4 times fewer arrivals than on the direct path, tokens came in bursts


@per_stream(
    Requirement(
        "flush.headers-early",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The head of the answer arrives within 15 s, however long the model thinks: also where the upstream sends its"
        " own head only with its first token.",
        references=(
            issue("BerriAI/litellm", 34374),
            guides("the status is fixed by the first byte"),
        ),
        breaks="Gateways limit the wait for the first byte: CloudFront 30 s, nginx and AWS load balancers 60 s.",
        fix="Wait for the first item of the upstream for some 10 s at most, then send the head.",
    ),
    scenarios=("quiet-start", "late-head"),
    wants=anything,
    expected="the head within 15 s",
)
def headers_early(seen: Observed, case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    capture = seen.transcript.capture
    sent_ns = capture.sent_ns or capture.start_ns
    if capture.head is None or capture.head_read is None:
        waited = show_ms((capture.end_ns or sent_ns) - sent_ns)
        return unmet(f"no head came in {waited} of silence", seen.note(capture.detail or seen.how_it_went()))
    waited_ns = capture.reads[capture.head_read].t_ns - sent_ns
    said = f"the head came {show_ms(waited_ns)} after the request"
    if (upstream_ns := _upstream_head_ns(seen)) is not None:
        said += f"; the upstream's came after {show_ms(upstream_ns)}"
    if waited_ns > LATE * case.heartbeat_ns:
        return unmet(said, seen.note(f"{show_ms(waited_ns)} without a byte"))
    return met(said)


def _upstream_head_ns(seen: Observed) -> int | None:
    """From the request's arrival at the upstream to the upstream's own head."""
    upstream = seen.upstream
    if upstream is None or upstream.head_ns is None or not upstream.arrivals_ns:
        return None
    return upstream.head_ns - upstream.arrivals_ns[-1]


@whole_case(
    Requirement(
        "flush.proxy-delta",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "Tokens arrive through the proxy or CDN as they do without it.",
        references=(
            NGINX_PROXY,
            issue("confidential-dot-ai/c8s", 140),
            issue("ggml-org/llama.cpp", 20872),
            issue("dotnet/yarp", 1040),
        ),
        breaks="Only production shows the fault: there is no proxy on the developer's machine.",
        fix="Turn buffering and compression of event streams off in the proxy, or send X-Accel-Buffering: no.",
    ),
    scenarios=("lockstep", *HAPPY),
    applies=two_paths,
    expected="the same flow on both paths",
    broken_by=BrokenBy(proxy="--hold-bytes 4096"),
)
def proxy_delta(case: Case) -> Finding:
    assert case.reference is not None
    direct, through = (next(run for run in path.of(HAPPY) if run.streams) for path in (case.reference, case))
    changes = tuple(through.note(f"the hop {line}") for line in changed_headers(direct, through))
    paths = through.note(f"direct: {direct.url}; through the proxy: {through.url}")
    held = [_late(path) for path in (case.reference, case)]
    if held[1] and not held[0]:
        size = next((run.held_bytes for run in case.of(("lockstep",)) if run.held_bytes), None)
        blocks = f" in blocks of {size:,} bytes" if size else ""
        return unmet(f"the hop holds tokens back{blocks}: lockstep passes without it", paths, *changes)
    first, second = _flow(direct), _flow(through)
    if first is None or second is None:
        return inconclusive("too few tokens came to compare", LONGER)
    change = (
        f"TTFT {show_ms(first.ttft_ns)} → {show_ms(second.ttft_ns)}, ITL p50 {show_ms(first.itl_ns)} → "
        f"{show_ms(second.itl_ns)}, {first.arrivals:,} → {second.arrivals:,} arrivals"
    )
    if second.arrivals * FEWER < first.arrivals and not held[0]:
        cause = ": a buffer raises TTFT and lowers ITL like this" if second.ttft_ns > first.ttft_ns else ""
        return unmet(f"{change}{cause}", paths, *changes)
    same = (
        "the endpoint itself holds tokens back, and the hop adds nothing" if held[0] else "the same flow on both paths"
    )
    return met(f"{same}: {change}", paths, *changes)


class _Flow(NamedTuple):
    ttft_ns: int
    itl_ns: float
    arrivals: int


def _flow(seen: Observed) -> _Flow | None:
    times = [seen.transcript.time_of(event) for event, _ in seen.transcript.tokens]
    if len(times) < MIN_TOKENS:
        return None
    gaps = [after - before for before, after in pairwise(times)]
    return _Flow(times[0] - seen.transcript.capture.start_ns, median(gaps), len(set(times)))


def _late(case: Case) -> bool:
    return any(step.timed_out for run in case.of(("lockstep",)) for step in run.steps)
