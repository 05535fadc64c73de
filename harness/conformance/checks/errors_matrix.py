"""errors.*: whether the status of a failing upstream reaches the client as the status that the client can act on."""

from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, lesser, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import guides, rfc
from streamgauge.conformance.upstream_errors import WITH_RETRY_AFTER
from streamgauge.conformance.wants import answer

CALLERS_FAULT: Final = (400, 404)
NO_ACCESS: Final = (401, 403)
_PRE_STREAM: Final = "a 200 in place of an error status (see errors.pre-stream-status)"


def _upstream_status(seen: Observed) -> str:
    return f"the upstream's {seen.size}"


@per_stream(
    Requirement(
        "errors.rate-limit-kept",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "An upstream's 429 reaches the client as 429, or as 503 with Retry-After.",
        lesser="The Retry-After of an upstream's 429 or 503 reaches the client.",
        references=(
            rfc(6585, "4", "429 Too Many Requests"),
            rfc(9110, "10.2.3", "Retry-After"),
        ),
        breaks=(
            "After a 500, SDKs repeat at once what should wait, so an overload grows; users see an outage where "
            "there is a queue."
        ),
        fix="Map the upstream's 429 to 429, and copy its Retry-After.",
    ),
    scenarios=("pre-error", "upstream-errors"),
    wants=answer,
    expected="429 for 429, with the upstream's Retry-After",
    broken_by=BrokenBy(proxy="--errors-as 500"),
)
def rate_limit_kept(seen: Observed, _case: Case) -> Finding | None:
    if seen.size not in WITH_RETRY_AFTER:
        return None
    if doubt := joined(seen):
        return doubt
    status, waits = seen.status or 0, seen.head is not None and seen.head.get("retry-after") is not None
    told, evidence = f"{_upstream_status(seen)} becomes {status}", seen.note(seen.how_it_went())
    if status == 200:
        return not_applicable(_PRE_STREAM)
    if seen.size == 503:
        if status == 503 and not waits:
            return lesser(f"{told} without Retry-After", seen.header("Retry-After"))
        return None
    if status == 429:
        return met("429 stays 429") if waits else lesser("429 without Retry-After", seen.header("Retry-After"))
    if status == 503 and waits:
        return met("429 becomes 503 with Retry-After")
    return unmet(f"{told}{'' if waits else ' without Retry-After'}", evidence)


@per_stream(
    Requirement(
        "errors.caller-fault-kept",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "What the upstream refuses because of the request, with 400 or 404, reaches the client as a 4xx status.",
        references=(
            rfc(9110, "15.5", "Client Error 4xx"),
            guides("a message that the client can act on"),
        ),
        breaks="SDKs repeat a 5xx, so a request that can never succeed is sent three times or more, and alerts ring.",
        fix="Pass the upstream's 400, 404 and 422 on as 4xx; only its own failures become 502, 503 or 504.",
    ),
    scenarios=("upstream-errors",),
    wants=answer,
    expected="a 4xx status for the upstream's 400 and 404",
    broken_by=BrokenBy(proxy="--errors-as 500"),
)
def caller_fault_kept(seen: Observed, _case: Case) -> Finding | None:
    if seen.size not in CALLERS_FAULT:
        return None
    if doubt := joined(seen):
        return doubt
    status = seen.status or 0
    if status == 200:
        return not_applicable(_PRE_STREAM)
    if status >= 500:
        return unmet(f"{_upstream_status(seen)} becomes {status}", seen.note(seen.how_it_went()))
    return met(f"{_upstream_status(seen)} becomes {status}")


@per_stream(
    Requirement(
        "errors.gateway-key-hidden",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "When the upstream refuses the endpoint's own key, the user is not told that the user's credential is wrong.",
        lesser="An upstream's 403 for the endpoint's own key does not reach the user as 403.",
        references=(
            rfc(9110, "15.5.2", "401 Unauthorized"),
            rfc(9110, "15.6.3", "502 Bad Gateway"),
            guides("keys stay on the server"),
        ),
        breaks="Users log out, change keys and write to support; clients drop a session that is valid.",
        fix="Map the upstream's 401 and 403 to 502 or 500, log them, and alert the operator.",
    ),
    scenarios=("upstream-errors",),
    wants=answer,
    expected="500, 502 or 503 for the upstream's 401 and 403, where the key is the endpoint's own",
    broken_by=BrokenBy(proxy="--key own-key"),
)
def gateway_key_hidden(seen: Observed, case: Case) -> Finding | None:
    if seen.size not in NO_ACCESS:
        return None
    if doubt := joined(seen):
        return doubt
    used = seen.upstream.credential if seen.upstream else None
    if used is None:
        return not_applicable("the endpoint sends its upstream no key")
    if used in case.credentials:
        return not_applicable("the endpoint passes the caller's own key on, so the upstream's 401 is the caller's")
    status = seen.status or 0
    if status == 200:
        return not_applicable(_PRE_STREAM)
    told, evidence = f"{_upstream_status(seen)} becomes {status}", seen.note(seen.how_it_went())
    if status == 401:
        return unmet(f"{told}: the user is told that the user's own credential is wrong", evidence)
    if status == 403:
        return lesser(f"{told}: the user is told that the user may not ask", evidence)
    return met(f"{told}")
