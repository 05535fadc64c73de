"""resume.*: whether a client can continue a cut stream, and whether that costs a second generation."""

from enum import StrEnum
from itertools import pairwise
from typing import Final

from streamgauge.conformance.applies import repeated, resumable
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, info, met, unmet
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import EVENTSOURCE, LAST_EVENT_ID, guides, issue, wpt
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.outcome import Outcome

LONGER: Final = "a stream that lasts longer than its first tokens"


class Rest(StrEnum):
    """How the second answer continues the first answer, which was cut."""

    NOTHING = "nothing"
    CONTINUED = "the rest"
    GAP = "the rest with a gap"
    REPLAYED = "the same once more"
    ANOTHER = "another text"


def rest_of(cut: Observed, again: Observed) -> Rest:
    """Judge by the whole text if the mock's text is known, otherwise by the event ids."""
    had, got = cut.transcript.text, again.transcript.text
    if not got:
        return Rest.NOTHING
    if cut.expected_text is not None and cut.upstream is not None:
        if had + got == cut.expected_text:
            return Rest.CONTINUED
        if len(got) > len(cut.expected_text) - len(had):
            return Rest.REPLAYED if cut.expected_text.endswith(got) else Rest.ANOTHER
        return Rest.GAP if cut.expected_text.endswith(got) else Rest.ANOTHER
    before, after = _by_id(cut), _by_id(again)
    common = before.keys() & after.keys()
    if common:
        return Rest.REPLAYED if all(before[name] == after[name] for name in common) else Rest.ANOTHER
    if not after:
        return Rest.ANOTHER
    return Rest.GAP if _skips(list(before), list(after)) else Rest.CONTINUED


def _by_id(seen: Observed) -> dict[str, str]:
    return {event.id: event.data for event in seen.transcript.events if event.id}


def _skips(before: list[str], after: list[str]) -> bool:
    """Whether ids that rose by one before the cut rise by more at the cut."""
    try:
        numbers = [int(name) for name in (*before, *after)]
    except ValueError:
        return False
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    return len(before) > 1 and set(steps[: len(before) - 1]) == {1} and steps[len(before) - 1] > 1


def pair(case: Case, scenario: str) -> tuple[Observed, Observed] | Finding:
    """The cut stream and the answer to the repeated request, or the reason why there is no such pair."""
    seen = case.of((scenario,))
    if len(seen) < 2 or seen[0].transcript.outcome is not Outcome.CANCELLED:
        how = seen[0].how_it_went() if seen else "the request was not sent"
        return inconclusive(f"there was no stream to cut: {how}", LONGER)
    return seen[0], seen[1]


@whole_case(
    Requirement(
        "resume.last-event-id-honoured",
        SHOULD,
        Severity.MEDIUM,
        Basis.SPEC,
        "Where events have ids, the answer to a request with Last-Event-ID continues after that event, without "
        "a gap and without repeating events.",
        references=(
            LAST_EVENT_ID,
            EVENTSOURCE,
            wpt("format-field-id-2"),
            issue("modelcontextprotocol/csharp-sdk", 208),
        ),
        breaks="Users of EventSource see text twice, or miss some.",
        fix=(
            "Keep sent events under their ids for a minute and continue after the requested one; otherwise send no ids."
        ),
    ),
    scenarios=("resume",),
    applies=resumable,
    expected="the events after the client's last event",
    broken_by=BrokenBy(fault="resume-gap", shape="token-done"),
)
def last_event_id_honoured(case: Case) -> Finding:
    found = pair(case, "resume")
    if isinstance(found, Finding):
        return found
    cut, again = found
    note = again.note(f"Last-Event-ID: {cut.last_id}: {again.how_it_went()}")
    if again.status == 204:
        return info("status 204 tells a client that sends an id to stop; without resuming, send no ids", note)
    if not again.streams:
        return unmet(f"the id is answered with {again.how_it_went()}", note)
    match rest_of(cut, again):
        case Rest.CONTINUED:
            return met("the rest, from the next event on")
        case Rest.REPLAYED:
            return unmet("the client gets the same text again", again.at(0), note)
        case Rest.GAP:
            return unmet("the rest comes, but text before it is missing", again.at(0), note)
        case Rest.NOTHING:
            return unmet("an empty stream came instead of the rest", note)
        case Rest.ANOTHER:
            return unmet("a different text came, not the rest of the cut one", again.at(0), note)


@whole_case(
    Requirement(
        "resume.no-regeneration",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "A client that reconnects does not start, and pay for, a second generation without knowing it.",
        references=(
            EVENTSOURCE,
            issue("obot-platform/obot", 1857),
            guides("close the EventSource on an error"),
        ),
        breaks="Each cut connection of an EventSource lets the model answer from the beginning, at full price.",
        fix=(
            "Give each prompt a key of its own, and continue or refuse a known key (204 ends the reconnecting); "
            "take prompts by POST, which EventSource does not repeat."
        ),
    ),
    scenarios=("resume",),
    applies=repeated,
    expected="no second call of the model when the client repeats the request",
    broken_by=BrokenBy(fault="retry", shape="token-done"),
)
def no_regeneration(case: Case) -> Finding:
    found = pair(case, "resume")
    if isinstance(found, Finding):
        return found
    cut, again = found
    if again.status == 204 or (again.status or 0) >= 400:
        return met(f"the repeated request gets status {again.status}")
    if cut.upstream is None:
        return _by_answer(cut, again) if cut.expected_text is None else joined(cut) or inconclusive("no request", MOCK)
    calls, before = again.upstream.requests if again.upstream else 0, cut.upstream.requests
    if calls <= before:
        return met("the model was not called again")
    actual = "the model was called again"
    invited = cut.last_id or cut.transcript.retry_ms is not None
    note = again.note(f"{before:,} calls before, {calls:,} after")
    if invited:
        return unmet(f"{actual}, although ids or retry invite clients to reconnect", note)
    return unmet(actual, note)


def _by_answer(cut: Observed, again: Observed) -> Finding:
    """Judge without the mock's ledger: an answer with another id is a second generation."""
    first, second = (_answer_id(seen) for seen in (cut, again))
    if first is None or second is None:
        return inconclusive("without the mock, a second call of the model cannot be detected", MOCK)
    if first != second:
        return unmet(f"the answer has another id: {second[:60]} after {first[:60]}", again.at(0))
    return met("the answer has the same id")


def _answer_id(seen: Observed) -> str | None:
    payload = decode(seen.transcript.events[0].data) if seen.transcript.events else None
    value = payload.get("id") if isinstance(payload, dict) else None
    return value if isinstance(value, str) else None
