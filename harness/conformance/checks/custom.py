"""custom.*: event shapes that applications define themselves."""

import re
from collections import Counter
from typing import Any, Final

from streamgauge.conformance.applies import custom, speaks, with_schema
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed, blocks, printable
from streamgauge.conformance.checks.framing import data_prefix_every_line
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.payloads import is_sentinel, kind_of
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.result import Evidence, Verdict
from streamgauge.conformance.schema import Breach
from streamgauge.conformance.sources import INTERPRETING, guides
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.event_json import TEXT_KEYS
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.eventstream import Event
from streamgauge.wire import Framing

MAX_NAMES: Final = 12
_STABLE_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,39}")


def _kinds(seen: Observed) -> dict[int, set[Kind]]:
    kinds: dict[int, set[Kind]] = {}
    for index, delta in seen.transcript.deltas:
        kinds.setdefault(index, set()).add(delta.kind)
    return kinds


@per_stream(
    Requirement(
        "custom.consistent-shape",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "All content events of a stream have one JSON shape: a string, or an object with the same keys and types.",
        references=(guides("one shape for all tokens"),),
        breaks='Clients that read data.token append "undefined".',
        fix="Serialize every token from one type.",
    ),
    scenarios=HAPPY,
    applies=custom,
    expected="one JSON shape for all content events",
)
def consistent_shape(seen: Observed, case: Case) -> Finding | None:
    if case.dialect is not None and not case.dialect.json_payload:
        return not_applicable("the payloads are text")
    kinds = _kinds(seen)
    shaped: list[tuple[Event, str]] = []
    for index, event in enumerate(seen.transcript.events):
        value = decode(event.data)
        known = kinds.get(index, set()) & {Kind.DONE, Kind.ERROR, Kind.PING}
        content = Kind.CONTENT in kinds.get(index, set())
        # Payloads that are not JSON have their own check. Events before the first content are start events.
        if isinstance(value, NotJson) or known or (not shaped and not content):
            continue
        if not content and _is_of_the_application(value):
            continue
        shaped.append((event, _shape(value)))
    if not shaped:
        return None
    usual = Counter(shape for _, shape in shaped).most_common(1)[0][0]
    odd = [(event, shape) for event, shape in shaped if shape != usual]
    if odd:
        return unmet(
            f"{len(odd):,} of {len(shaped):,} events are {odd[0][1]} instead of {usual}", seen.at(odd[0][0].offset)
        )
    return met(f"every content event is {usual}")


def _is_of_the_application(value: Any) -> bool:
    """Whether an object is no token of another shape, but a status, a source or the like between the tokens."""
    return isinstance(value, dict) and not any(key in value for key in TEXT_KEYS)


def _shape(value: Any) -> str:
    if not isinstance(value, dict):
        return kind_of(value)
    keys = ", ".join(f"{printable(str(key), 20)}: {kind_of(value[key])}" for key in sorted(value)[:8])
    return f"{{{keys}}}"


@per_stream(
    Requirement(
        "custom.token-done-shape",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "Where events are {token, done}, token is a string, done a boolean, and done is true on the last event only.",
        references=(guides("token and done"),),
        breaks="The spinner of the interface never ends, or ends too early.",
        fix="Write done: true once, after the last token, and an error event where there was a failure.",
        causes={
            "token-type": "Write every token as a string: text in place of null, and another field for anything else.",
            "done-type": "Write done as the boolean true, not as text or a number.",
        },
    ),
    scenarios=HAPPY,
    applies=speaks("token-done"),
    wants=success,
    expected='{"token": string, "done": boolean}, done true on the last event only',
)
def token_done_shape(seen: Observed, case: Case) -> Finding | None:
    payloads = [
        (event, value)
        for event in seen.transcript.events
        if isinstance(value := decode(event.data), dict) and ("done" in value or not _is_of_the_application(value))
    ]
    if not payloads:
        return None
    if not any("done" in value for _, value in payloads):
        if any(is_sentinel(event.data) for event in seen.transcript.events):
            return not_applicable("the tokens are objects without done, ended by [DONE]")
        if case.guessed:
            return not_applicable("the tokens are objects without done: {token, done} is only a guess")
    for event, value in payloads:
        if kind_of(value.get("token")) != "string" and value.get("done") is not True:
            return unmet(f"token is {kind_of(value.get('token'))}", seen.at(event.offset), cause="token-type")
        if "done" in value and kind_of(value["done"]) != "boolean":  # absent, it reads as false
            return unmet(f"done is {kind_of(value['done'])}", seen.at(event.offset), cause="done-type")
    done = [event for event, value in payloads if value.get("done")]
    if not done:
        return unmet("no event has done: true", seen.at(len(seen.transcript.body)))
    if len(done) > 1 or done[0] is not payloads[-1][0]:
        what = f"done: true comes {len(done)} times" if len(done) > 1 else "events follow done: true"
        return unmet(what, seen.at(done[0].offset))
    return met("done: true once, last")


@per_stream(
    Requirement(
        "custom.explicit-done-event",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "The stream ends with a marker that its own clients can parse: done: true, a named event with data, or "
        "[DONE] among plain text.",
        references=(
            INTERPRETING,
            guides("a marker for the end"),
        ),
        breaks=(
            "EventSource reconnects at the end and pays for the prompt again; without a marker a cut looks like "
            "the end; a client that parses all payloads as JSON throws at [DONE]."
        ),
        fix="Write an end event with a JSON payload after the last token.",
        causes={
            "sentinel": 'Replace the sentinel [DONE] by a JSON payload, such as {"done": true}.',
            "no-data": "Give the end event a data line, such as data: {}.",
        },
    ),
    scenarios=HAPPY,
    applies=custom,
    wants=success,
    expected="an end marker that clients can parse: done: true, event: done with data, or [DONE] among text",
)
def explicit_done_event(seen: Observed, case: Case) -> Finding:
    # Clients never see a named event without data, so it is not among the parsed events.
    for block in blocks(seen.transcript):
        if b"done" in block.values(b"event") and not block.values(b"data"):
            return unmet("event: done has no data, so no client sees it", seen.at(block.offset), cause="no-data")
    done = seen.transcript.first(Kind.DONE)
    if done is None:
        why = "the stream just ends"
        evidence = seen.at(len(seen.transcript.body))
        # In a chunked body a client can still detect a cut. If the connection's close ends the body, no client can.
        if seen.transcript.capture.framing is Framing.CHUNKED:
            return unmet(f"{why}: only the transfer coding distinguishes its end from a cut", evidence)
        return unmet(f"{why}: its end and a cut look the same", evidence)
    event = seen.transcript.events[done.event]
    if is_sentinel(event.data) and event.type == "message" and case.dialect is not None and case.dialect.json_payload:
        return unmet(
            "[DONE] among JSON payloads: clients that parse every payload break",
            seen.at(event.offset),
            cause="sentinel",
        )
    return met(f"the end is marked by {printable(event.data, 40)}")


@per_stream(
    Requirement(
        "custom.event-names-stable",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Event names are a small fixed set in lower case, and content events are either all named or all unnamed.",
        references=(
            INTERPRETING,
            guides("event names token, done and error"),
        ),
        breaks="onmessage gets no named event, and addEventListener('token') no unnamed one.",
        fix="Name every event by a constant: token, done, error.",
    ),
    scenarios=(*HAPPY, "mid-error"),
    applies=custom,
    expected="a few lower-case event names, and content events all named or all unnamed",
)
def event_names_stable(seen: Observed, _case: Case) -> Finding:
    events = seen.transcript.events
    names = {event.type for event in events}
    for event in events:
        if not _STABLE_NAME.fullmatch(event.type):
            return unmet(f"an event is called {printable(event.type, 40)!r}", seen.at(event.offset))
    if len(names) > MAX_NAMES:
        first = {event.type: event for event in reversed(events)}
        one_too_many = sorted(event.offset for event in first.values())[MAX_NAMES]
        return unmet(f"{len(names)} different event names", seen.at(one_too_many))
    kinds = _kinds(seen)
    content = {event.type for index, event in enumerate(events) if Kind.CONTENT in kinds.get(index, set())}
    if "message" in content and len(content) > 1:
        odd = next(event for event in events if event.type != "message")
        return unmet("content comes in named and in unnamed events", seen.at(odd.offset))
    return met(f"event names: {', '.join(sorted(names))}" if events else "no events")


@whole_case(
    Requirement(
        "custom.raw-text-hazard",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "Tokens sent as raw text demonstrably survive line breaks and end with a mark that cannot be a token; "
        "tokens in JSON need no such proof.",
        references=(
            INTERPRETING,
            guides("JSON in the data field"),
        ),
        breaks="Line breaks get lost and code collapses; errors and the end of the stream look like text.",
        fix="Wrap the token in JSON.",
    ),
    scenarios=(*HAPPY, "newlines"),
    applies=custom,
    expected="JSON payloads, or proof that text with line breaks arrives and that the end is marked",
    broken_by=BrokenBy(shape="raw-text"),
)
def raw_text_hazard(case: Case) -> Finding:
    if case.dialect is not None and case.dialect.json_payload:
        return met("payloads are JSON")
    seen = next((one for one in case.of(HAPPY) if one.is_event_stream), None)
    if seen is None:
        return not_applicable("no event stream came")
    if not seen.transcript.events:
        return not_applicable("no event came, so no token was sent as text")
    proofs = [data_prefix_every_line(one, case) for one in case.of(("newlines",)) if one.is_event_stream]
    lines_safe = any(_passes(proof) for proof in proofs)
    if lines_safe and _passes(explicit_done_event(seen, case)):
        return met("text with line breaks arrives, and the end is marked")
    lacking = "it has no end marker" if lines_safe else "line breaks and errors have no safe place in it"
    return unmet(f"tokens are sent as raw text: {lacking}", seen.at(0))


def _passes(finding: Finding | None) -> bool:
    return finding is not None and finding.verdict is Verdict.PASS


@whole_case(
    Requirement(
        "custom.schema",
        MUST,
        Severity.MEDIUM,
        Basis.OPS,
        "Every payload fits the JSON Schema of its consumers, where the check is given that schema.",
        references=(
            "OpenAPI 3.2, Media Type Object, itemSchema: https://spec.openapis.org/oas/v3.2.0.html#media-type-object",
            "JSON Schema, Core: https://json-schema.org/draft/2020-12/json-schema-core",
        ),
        breaks="Consumers whose types were generated from the schema fail.",
        fix="Generate the schema from the type that is serialized, rather than writing both.",
    ),
    scenarios=(*PLAIN, "mid-error"),
    applies=with_schema,
    expected="payloads that fit the schema",
)
def schema(case: Case) -> Finding:
    assert case.schema is not None
    judged = 0
    found: dict[str, tuple[str, Evidence]] = {}  # keyed by the broken rule: one example of each is enough
    for seen in case.of((*PLAIN, "mid-error")):
        for number, event in enumerate(seen.transcript.events, 1):
            if not case.schema.covers(event.type) or not event.data or is_sentinel(event.data):
                continue
            judged += 1
            payload = decode(event.data)
            breaches = (
                [Breach("", "", f"it is not JSON: {payload.reason}")]
                if isinstance(payload, NotJson)
                else case.schema.breaches(event.type, payload)
            )
            for rule, place, message in breaches:
                actual = f"event #{number} ({printable(event.type, 40)}){printable(place, 80)}: {printable(message)}"
                found.setdefault(rule, (actual, seen.at(event.offset, f"rule: {printable(rule, 120) or 'JSON'}")))
    if found:
        first = next(iter(found.values()))[0]
        return unmet(f"{len(found)} rules of the schema are broken; {first}", *(where for _, where in found.values()))
    if not judged:
        return inconclusive("no event has a name that the schema covers", "a schema for `message`, or for `*`")
    return met(f"{judged:,} payloads fit")
