"""errors.request-id-same: an id in an error is the one in the response's head."""

from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.cases import Case, Observed, printable
from streamgauge.conformance.finding import Finding, met, not_applicable, unmet
from streamgauge.conformance.payloads import objects
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import guides
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import decode

HEADERS: Final = ("x-request-id", "request-id", "x-correlation-id", "apim-request-id")
FIELDS: Final = ("request_id", "requestId", "requestID", "correlation_id", "correlationId")
_DEEPEST: Final = 3


@whole_case(
    Requirement(
        "errors.request-id-same",
        SHOULD,
        Severity.LOW,
        Basis.GUIDE,
        "Where an error has a request id, it is the id in the head of the same response.",
        references=(guides("log the request id"),),
        breaks="A user reports an id that no log knows.",
        fix="Make the id once, in a middleware, and use it for the header, the log and the error.",
    ),
    scenarios=("mid-error", "pre-error", "invalid", "happy"),
    expected="one id for each response",
)
def request_id_same(case: Case) -> Finding:
    compared = 0
    for seen in case.of(("mid-error", "pre-error", "invalid", "happy")):
        header = next((value for name in HEADERS if seen.head and (value := seen.head.get(name))), None)
        for found, offset in _ids(seen):
            if header is None:
                continue
            compared += 1
            if found != header:
                both = f"{printable(found, 60)!r} in the error, {printable(header, 60)!r} in the head"
                return unmet(f"{seen.label}: {both}", seen.at(offset))
    return (
        met(f"{compared} errors have the id of their head")
        if compared
        else not_applicable("no error has a request id beside one in its head")
    )


def _ids(seen: Observed) -> Iterator[tuple[str, int]]:
    """The request ids in the errors of an answer, with the place of the error in the body."""
    if (seen.status or 0) >= 400:
        if (found := _id_in(decode(seen.transcript.body.decode("utf-8", "replace")))) is not None:
            yield found, 0
        return
    failed = {found.event for found in seen.transcript.deltas if found.delta.kind is Kind.ERROR}
    events = {seen.transcript.events[index].offset for index in failed}
    for payload in objects(seen.transcript):
        if payload.event.offset in events and (found := _id_in(payload.value)) is not None:
            yield found, payload.event.offset


def _id_in(value: Any, depth: int = 0) -> str | None:
    if not isinstance(value, dict) or depth > _DEEPEST:
        return None
    found = next((value[name] for name in FIELDS if isinstance(value.get(name), str)), None)
    inner = (_id_in(one, depth + 1) for one in value.values())
    return found or next((one for one in inner if one is not None), None)
