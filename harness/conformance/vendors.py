"""Judgements that the checks of several vendors share."""

from streamgauge.conformance.cases import Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, met, unmet
from streamgauge.conformance.payloads import objects
from streamgauge.conformance.permissions import MOCK
from streamgauge.units import plural


def judge_names(seen: Observed) -> Finding | None:
    """Whether the name of every event equals the type in its payload."""
    count = 0
    for payload in objects(seen.transcript):
        count += 1
        name, kind = payload.event.type, payload.type
        if name != kind:
            called = "has no event line" if name == "message" else f"is called {printable(name, 40)!r}"
            evidence = seen.at(payload.event.offset)
            return unmet(f"an event of type {printable(kind, 40)!r} {called}", evidence)
    return met(f"{plural(count, 'event')} called what the payload says") if count else None


def no_error(seen: Observed) -> Finding:
    """The finding for a stream without an error: a defect if the upstream is known to have failed."""
    if seen.scenario != "mid-error":
        return inconclusive("no error came", MOCK)
    if not seen.upstream:
        return inconclusive("the mock got no request: the endpoint has another upstream, or the prompt got lost", MOCK)
    end = seen.at(len(seen.transcript.body))
    return unmet(f"the upstream failed, and no error came: {seen.transcript.outcome}", end)
