"""openai-responses.*: the events of a response, https://platform.openai.com/docs/api-reference/responses-streaming."""

from typing import Any, Final

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, Case, Observed, blocks, printable
from streamgauge.conformance.finding import Finding, info, lesser, met, unmet
from streamgauge.conformance.payloads import Payload, is_sentinel, objects
from streamgauge.conformance.profile import Profile, Rule
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import OPENAI_RESPONSES, OPENRESPONSES, issue
from streamgauge.conformance.vendors import DOCUMENTED_ONLY, judge_names, judge_payloads, no_error
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.openai_responses import FINAL
from streamgauge.protocol.dialects.payload import dig, text_in
from streamgauge.units import plural

PROFILES: Final = (
    Profile(
        "openresponses",
        "OpenResponses: OpenAI's Responses with data: [DONE] at the end",
        (Rule("openai-responses.error-then-failed", MUST, "the specification demands response.failed after error"),),
    ),
)

responses = speaks("openai-responses")

# What opens and closes a part of an item, and the field that numbers such parts.
_PARTS: Final = {
    "response.content_part": "content_index",
    "response.reasoning_summary_part": "summary_index",
}


@per_stream(
    Requirement(
        "openai-responses.event-matches-type",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "The name of every event is the type that its payload states; only streams that can be resumed have ids.",
        references=(OPENRESPONSES, OPENAI_RESPONSES),
        breaks="Listeners by event name hear nothing; an id and a comment between events break openai-python (tried).",
        fix="Write the event line from the payload's own type.",
        lesser="Events have no id, unless the stream can be resumed.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=responses,
    expected="event: and the payload's type alike, no id",
)
def event_matches_type(seen: Observed, _case: Case) -> Finding | None:
    judged = judge_names(seen)
    if judged is not None and judged.verdict is None:
        return judged
    for block in blocks(seen.transcript):
        if block.values(b"id"):
            return lesser("an event has an id", seen.at(block.offset))
    return judged


@per_stream(
    Requirement(
        "openai-responses.sequence-number",
        MUST,
        Severity.MEDIUM,
        Basis.DIALECT,
        "Every event has a sequence_number; the first is 0 and each is one more than the one before.",
        references=(OPENAI_RESPONSES,),
        breaks="Clients that resume a response with starting_after lose events, or read some twice.",
        fix="Count in one place for a response, and number each event as it is written.",
        lesser="The first sequence_number is 0.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=responses,
    expected="sequence_number 0, 1, 2 and so on",
)
def sequence_number(seen: Observed, _case: Case) -> Finding | None:
    expected: int | None = None
    late: Finding | None = None
    for payload in objects(seen.transcript):
        number = payload.value.get("sequence_number")
        offset = payload.event.offset
        if not isinstance(number, int):
            return unmet(f"{printable(payload.type, 40) or 'an event'} has no sequence_number", seen.at(offset))
        if expected is None and number != 0:
            late = lesser(f"the first sequence_number is {number}", seen.at(offset))
        elif expected is not None and number != expected:
            return unmet(f"sequence_number {number} comes where {expected} is due", seen.at(offset))
        expected = number + 1
    return None if expected is None else late or met(f"0 to {expected - 1:,}")


@per_stream(
    Requirement(
        "openai-responses.item-lifecycle",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "response.created comes first; every output item is added, gets its parts and their deltas, and is done, under "
        "one id and without a gap in the indices, before the response is completed with all of them.",
        references=(OPENAI_RESPONSES, issue("0xPlaygrounds/rig", 1758), issue("0xPlaygrounds/rig", 1759)),
        breaks=(
            'openai-python raises "Expected to have received `response.created`"; collecting by index fails. Without '
            "the items in the completed response, get_final_response() has no text (tried)."
        ),
        fix=(
            "Send response.created before the upstream's first token, drive all events from one state machine, and put "
            "every finished item into the output of response.completed."
        ),
    ),
    scenarios=(*HAPPY, "tools"),
    applies=responses,
    wants=success,
    expected="response.created, then for each item: output_item.added, its parts and deltas, output_item.done",
)
def item_lifecycle(seen: Observed, _case: Case) -> Finding | None:
    life = _Life()
    count = 0
    for payload in objects(seen.transcript):
        offset = payload.event.offset
        if not count and payload.type != "response.created":
            return unmet(f"the first event is {printable(payload.type, 40)!r}, not response.created", seen.at(offset))
        count += 1
        if problem := life.take(payload):
            return unmet(problem, seen.at(offset))
    return met(f"{plural(life.count, 'item')}, each added and done") if count else None


class _Life:
    """The items of a response and the parts of each that are open."""

    def __init__(self) -> None:
        self.count = 0
        self._open: dict[int, str] = {}  # id by output_index
        self._parts: dict[int, set[int]] = {}
        self._parts_seen: dict[int, int] = {}

    def take(self, payload: Payload) -> str | None:
        """What is wrong with the next event, or None."""
        kind, value = payload.type, payload.value
        if kind == "response.output_item.added":
            return self._added(value)
        if kind == "response.completed":
            return self._completed(value)
        index = value.get("output_index")
        if not isinstance(index, int):
            return f"{kind} has no output_index" if kind.endswith(".delta") else None
        if index not in self._open:
            return f"{printable(kind, 60)} for item {index}, which is not open"
        named, item_id = self._open[index], value.get("item_id")
        if isinstance(item_id, str) and named and item_id != named:
            return f"{printable(kind, 60)} calls item {index} {printable(item_id, 40)!r}, not {printable(named, 40)!r}"
        if kind == "response.output_item.done":
            return self._done(index)
        return self._part(kind, index, value)

    def _added(self, value: dict[str, Any]) -> str | None:
        index = value.get("output_index")
        if index != self.count:
            return f"item {printable(str(index), 20)} is added where item {self.count} is due"
        self._open[self.count] = text_in(value, "item", "id")
        self._parts[self.count], self._parts_seen[self.count] = set(), 0
        self.count += 1
        return None

    def _completed(self, value: dict[str, Any]) -> str | None:
        if self._open:
            return f"item {min(self._open)} is still open when the response is completed"
        output = dig(value, "response", "output")
        if isinstance(output, list) and len(output) < self.count:
            return (
                f"response.completed lists {len(output)} of the {plural(self.count, 'item')} that the stream finished"
            )
        return None

    def _done(self, index: int) -> str | None:
        if self._parts[index]:
            return f"item {index} is done while its part {min(self._parts[index])} is open"
        del self._open[index]
        return None

    def _part(self, kind: str, index: int, value: dict[str, Any]) -> str | None:
        opened = self._parts[index]
        family, _, what = kind.rpartition(".")
        if family in _PARTS:
            part = value.get(_PARTS[family])
            if what == "added":
                if part != self._parts_seen[index]:
                    return f"part {printable(str(part), 20)} of item {index} is added out of order"
                self._parts_seen[index] += 1
                opened.add(part)
                return None
            if part not in opened:
                return f"part {printable(str(part), 20)} of item {index} is done and was not open"
            opened.discard(part)
            return None
        if what != "delta":
            return None
        # A reasoning item's own text has no part that is added; a message's and a summary's has.
        part = value.get("content_index", value.get("summary_index"))
        parted = family in ("response.output_text", "response.refusal", "response.reasoning_summary_text")
        if parted and part not in opened:
            return f"{kind} for part {printable(str(part), 20)} of item {index}, which is not open"
        return None


@per_stream(
    Requirement(
        "openai-responses.payload-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every payload is what the vendor defines for its type: responses with id and output, a completed one with its "
        "usage, items with their content, deltas with their text, and every member with its type.",
        references=(OPENAI_RESPONSES, OPENRESPONSES),
        breaks="openai-python's stream() raises at items without content (tried); accounts miss the usage.",
        fix=(
            "Send the whole response in every event that has one: id, status, model, output with all items so far, "
            "and usage at the end."
        ),
        lesser=DOCUMENTED_ONLY,
    ),
    scenarios=(*HAPPY, "tools"),
    applies=responses,
    expected='response.completed with {"response": {"id", "output", "usage": {"input_tokens", "output_tokens"}}}',
)
def payload_shape(seen: Observed, _case: Case) -> Finding | None:
    return judge_payloads(seen, DEFINITIONS["openai-responses"])


@per_stream(
    Requirement(
        "openai-responses.single-terminal-last",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "A stream ends with exactly one of response.completed, response.incomplete and response.failed.",
        references=(OPENAI_RESPONSES, OPENRESPONSES),
        breaks="SDKs end without an error, and the caller holds half a response.",
        fix=(
            "Write exactly one of the three on every path; write data: [DONE] after it only for clients of "
            "OpenResponses."
        ),
    ),
    scenarios=(*HAPPY, "tools"),
    applies=responses,
    wants=success,
    expected="one response.completed, response.incomplete or response.failed, last",
)
def single_terminal_last(seen: Observed, case: Case) -> Finding:
    body_end = seen.at(len(seen.transcript.body))
    final = [payload for payload in objects(seen.transcript) if payload.type in FINAL]
    if not final:
        why = seen.transcript.detail or "the stream just ends"
        return unmet(f"no {FINAL[0]} or its like: {why}", body_end)
    if len(final) > 1:
        return unmet(f"{len(final)} final events", seen.at(final[1].event.offset))
    last = final[0]
    if any(event.offset > last.event.offset and not is_sentinel(event.data) for event in seen.transcript.events):
        return unmet(f"events follow {last.type}", seen.behind(last.event))
    done = next((event for event in seen.transcript.events if is_sentinel(event.data)), None)
    if case.profile.name == "openresponses":
        return met(f"{last.type}, then [DONE]") if done else unmet("no [DONE], which OpenResponses demands", body_end)
    if done is not None:
        return info("[DONE] follows, as OpenResponses has it and OpenAI has not", seen.at(done.offset))
    return met(f"{last.type} once, last")


@per_stream(
    Requirement(
        "openai-responses.error-then-failed",
        SHOULD,
        Severity.MEDIUM,
        Basis.DIALECT,
        "A failure in mid-stream is reported by a flat error event, by response.failed with its error, or by "
        "both in that order.",
        references=(OPENAI_RESPONSES, OPENRESPONSES),
        breaks=(
            "openai-python passes the flat event on without raising, openai-node throws at it: clients of both need"
            " both events."
        ),
        fix="Send both: error with code, message and param beside its type, then response.failed.",
    ),
    scenarios=("mid-error", *HAPPY),
    applies=responses,
    expected='{"type": "error", "code", "message", "param"}, then response.failed with response.error',
)
def error_then_failed(seen: Observed, case: Case) -> Finding:
    errors = [payload for payload in objects(seen.transcript) if payload.type == "error"]
    failed = [payload for payload in objects(seen.transcript) if payload.type == "response.failed"]
    if not errors and not failed:
        return no_error(seen)
    for payload in errors:
        if isinstance(payload.value.get("error"), dict):
            return unmet("the error event holds its error one level down", seen.at(payload.event.offset))
        if not isinstance(payload.value.get("message"), str):
            return unmet("the error event has no message", seen.at(payload.event.offset))
    for payload in failed:
        if not isinstance(dig(payload.value, "response", "error"), dict):
            return unmet("response.failed has no response.error", seen.at(payload.event.offset))
        if errors and errors[0].event.offset > payload.event.offset:
            return unmet("response.failed comes before error", seen.at(payload.event.offset))
    if not failed and case.profile.name == "openresponses":
        return unmet("response.failed does not follow error", seen.behind(errors[-1].event))
    return met(" then ".join(payload.type for payload in (*errors, *failed)))
