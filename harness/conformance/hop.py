"""Two paths to one endpoint: whether the proxy or the endpoint causes a finding, and which headers it changes."""

from typing import Final

import msgspec

from streamgauge.conformance.cases import Observed, printable
from streamgauge.conformance.result import CheckResult, Evidence, Verdict
from streamgauge.diagnosis.product import applications

FOUND: Final = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)
CLEAN: Final = (Verdict.PASS, Verdict.INFO)
DIRECT: Final = "direct"
# Headers that differ from answer to answer.
VOLATILE: Final = frozenset(
    {"date", "age", "x-request-id", "request-id", "traceparent", "cf-ray", "set-cookie", "etag"}
)
MOST_HEADERS: Final = 6


def beside(through: CheckResult, direct: CheckResult) -> CheckResult:
    """A finding of the path through the proxy, with the direct path's verdict on the same check."""
    if through.verdict not in FOUND or (through.verdict is direct.verdict and direct.verdict is Verdict.INFO):
        return through
    if direct.verdict is through.verdict:
        whose = "the endpoint does the same without the proxy"
        # The proxy hides the endpoint's product, and the proxy's own configuration cannot fix this finding.
        through = msgspec.structs.replace(through, fixes=direct.fixes)
    elif direct.verdict in CLEAN:
        whose = "only through the proxy"
        own = {name: fix for name, fix in through.fixes.items() if name not in applications()}
        through = msgspec.structs.replace(through, fixes=own or through.fixes)
    else:
        return through
    beside_it = Evidence(DIRECT, printable(f"{direct.verdict}: {direct.actual}", 300))
    return msgspec.structs.replace(
        through, actual=f"{through.actual} ({whose})", evidence=[*through.evidence[:5], beside_it]
    )


def changed_headers(direct: Observed, through: Observed) -> list[str]:
    """A line for each header that the proxy adds, removes or changes."""
    if direct.head is None or through.head is None:
        return []
    before = {name.lower(): value for name, value in direct.head.headers if name.lower() not in VOLATILE}
    after = {name.lower(): value for name, value in through.head.headers if name.lower() not in VOLATILE}
    lines = [f"adds {name}: {after[name]}" for name in after if name not in before]
    lines += [f"takes {name} away" for name in before if name not in after]
    both = [name for name in before if name in after and before[name] != after[name]]
    lines += [f"changes {name}: {before[name]} to {after[name]}" for name in both]
    return lines[:MOST_HEADERS]
