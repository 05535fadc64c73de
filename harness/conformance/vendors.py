"""Judgements that the checks of several vendors share."""

from typing import Final

from streamgauge.conformance.cases import Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, unmet
from streamgauge.conformance.payloads import Payload, kind_of, objects
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.schemas.definition import Breach, Definition
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.units import plural

DOCUMENTED_ONLY: Final = "Members that the definition always has are there, also where no known SDK needs them."
"""The lesser part of a requirement that `judge_payloads` judges."""


def judge_payloads(seen: Observed, definition: Definition) -> Finding | None:
    """Whether every payload fits the vendor's definition: the first one that breaks an SDK, or the first that lacks a
    documented member. Errors, sentinels and what is not JSON have checks of their own.
    """
    errors = {found.event for found in seen.transcript.deltas if found.delta.kind is Kind.ERROR}
    first_documented: Finding | None = None
    count = 0
    for number, event in enumerate(seen.transcript.events):
        value = decode(event.data)
        if number in errors or isinstance(value, NotJson):
            continue
        evidence = seen.at(event.offset)
        if not isinstance(value, dict):
            return unmet(f"a payload is {kind_of(value)}, not an object", evidence)
        payload = Payload(event, value)
        if not definition.covers(payload.type):
            continue
        count += 1
        breaches = definition.breaches(value, payload.type)
        if breaking := [breach for breach in breaches if not breach.documented]:
            return unmet(_told(payload, breaking), evidence)
        if breaches and first_documented is None:
            first_documented = lesser(_told(payload, breaches), evidence)
    return first_documented or (met(f"{plural(count, 'payload')} as the vendor defines them") if count else None)


def _told(payload: Payload, breaches: list[Breach]) -> str:
    """The first breach and the pointers of the others, with the type of the event where it has one."""
    first, *others = breaches
    kind = f"{payload.type}: " if payload.type else ""
    more = f"; the same payload breaks at {', '.join(other.pointer for other in others[:5])}" if others else ""
    return printable(f"{kind}{first}{more}")


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
