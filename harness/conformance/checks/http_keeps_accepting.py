"""http.keeps-accepting: an endpoint that dies in the middle of a run must not pass because nothing could be judged."""

from streamgauge.conformance.cases import HAPPY, Case, printable
from streamgauge.conformance.finding import Finding, met, unmet
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import issue

_LAST = 3  # requests before the first failure that the finding names


@whole_case(
    Requirement(
        "http.keeps-accepting",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "The endpoint accepts connections after whatever it was asked, and whatever its upstream answered.",
        references=(issue("vercel/ai", 4617),),
        breaks="One request, or one error of the model, takes the service away from all users until it is restarted.",
        fix="Catch errors where they happen: an exception or a rejected promise that nobody handles ends the process.",
    ),
    scenarios=HAPPY,
    expected="every connection is accepted",
    watches=True,
)
def keeps_accepting(case: Case) -> Finding:
    in_order = sorted(case.observed, key=lambda seen: seen.transcript.capture.start_ns)
    place = next((place for place, seen in enumerate(in_order) if seen.is_down), None)
    if place is None:
        return met(f"{len(in_order)} requests, and no connection was refused")
    seen = in_order[place]
    detail = printable(seen.transcript.detail or "no connection")
    before = ", ".join(one.label for one in in_order[max(place - _LAST, 0) : place]) or "the first stream"
    answered = sum(not later.is_down for later in in_order[place:])
    came_back = f"{answered} later requests were answered" if answered else "and so were all later requests"
    return unmet(f"{seen.label}: {detail}, after {before}; {came_back}", seen.note(detail))
