"""cohere.*: the events of v2 chat, https://docs.cohere.com/docs/streaming."""

from typing import Final

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.finding import Finding, met, unmet
from streamgauge.conformance.payloads import Payload, objects
from streamgauge.conformance.profile import Profile, Rule
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MAY, MUST, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import COHERE
from streamgauge.conformance.vendors import DOCUMENTED_ONLY, judge_names, judge_payloads
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.payload import dig

PROFILES: Final = (
    Profile(
        "cohere",
        "Cohere's v2 chat",
        (Rule("errors.machine-readable", MAY, "a failure is only a text in the last event, beside the reason ERROR"),),
    ),
)

# What is opened and closed under an index; each family counts for itself.
_FAMILIES: Final = ("content", "tool-call", "citation")


@per_stream(
    Requirement(
        "cohere.payload-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every payload is what the vendor defines for its type: deltas with their message, texts, tool plans and "
        "arguments as strings, and every member with its type.",
        references=(COHERE,),
        breaks="Typed SDKs (Java, Go) refuse members of another type; applications read no text.",
        fix="Serialize each event from one type, with the text of a delta under delta.message.content.",
        lesser=DOCUMENTED_ONLY,
    ),
    scenarios=(*HAPPY, "tools"),
    applies=speaks("cohere"),
    expected='content-delta with {"delta": {"message": {"content": {"text": "..."}}}}',
)
def payload_shape(seen: Observed, _case: Case) -> Finding | None:
    return judge_payloads(seen, DEFINITIONS["cohere"])


@per_stream(
    Requirement(
        "cohere.lifecycle",
        MUST,
        Severity.MEDIUM,
        Basis.DIALECT,
        "message-start comes first; contents and tool calls start, have deltas and end; message-end comes last with "
        "finish_reason and usage; every event is called what its payload's type says.",
        references=(COHERE,),
        breaks="Cohere's SDKs read each event as one of a closed union of types.",
        fix="Keep what is open in the translator: end it before the next one starts and before message-end.",
        causes={
            "not-last": "Write message-end as the last event, after everything else.",
            "incomplete-end": "Complete message-end: delta.finish_reason and delta.usage belong at the end, in it.",
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=speaks("cohere"),
    wants=success,
    expected="message-start, content-start, content-delta, content-end, message-end",
)
def lifecycle(seen: Observed, _case: Case) -> Finding | None:
    named = judge_names(seen)
    if named is None or named.verdict is None:
        return named
    opened: dict[str, set[object]] = {family: set() for family in _FAMILIES}
    ended: Payload | None = None
    for number, payload in enumerate(objects(seen.transcript)):
        offset = payload.event.offset
        if ended is not None:
            return unmet(f"{printable(payload.type, 40)} follows message-end", seen.at(offset), cause="not-last")
        if (payload.type == "message-start") != (number == 0):
            what = printable(payload.type, 40)
            return unmet(f"{what} is the first event" if number == 0 else "message-start comes again", seen.at(offset))
        if payload.type == "message-end":
            ended = payload
        if problem := _step(opened, payload):
            return unmet(problem, seen.at(offset))
    body_end = seen.at(len(seen.transcript.body))
    if ended is None:
        return unmet(f"no message-end: {seen.transcript.detail or 'the stream just ends'}", body_end)
    for key in ("finish_reason", "usage"):
        if not dig(ended.value, "delta", key):
            return unmet(f"message-end has no {key}", seen.at(ended.event.offset), cause="incomplete-end")
    return met("everything that starts ends, message-end last")


def _step(opened: dict[str, set[object]], payload: Payload) -> str | None:
    if payload.type == "message-end":
        left = next((family for family, indices in opened.items() if indices), None)
        return f"a {left} is still open at message-end" if left else None
    family, _, what = payload.type.rpartition("-")
    indices = opened.get(family)
    if indices is None:
        return None
    index = payload.value.get("index")
    if not isinstance(index, int):
        return f"{payload.type} has no index"
    if what == "start":
        if index in indices:
            return f"{family} {index} starts twice"
        indices.add(index)
    elif index not in indices:
        return f"{payload.type} of {family} {index}, which is not open"
    elif what == "end":
        indices.discard(index)
    return None
