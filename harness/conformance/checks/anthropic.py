"""anthropic.*: Messages, https://platform.claude.com/docs/en/build-with-claude/streaming."""

from typing import Final

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, Case, Observed, blocks, printable
from streamgauge.conformance.finding import Finding, info, lesser, met, not_applicable, unmet
from streamgauge.conformance.payloads import Payload, is_sentinel, kind_of, objects
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import ANTHROPIC, issue, source
from streamgauge.conformance.vendors import DOCUMENTED_ONLY, judge_names, judge_payloads, no_error
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode, dig
from streamgauge.protocol.numbers import described, whole
from streamgauge.units import plural

anthropic = speaks("anthropic")

STOP_REASONS: Final = frozenset(
    {
        "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
        "model_context_window_exceeded",
    }
)  # fmt: skip
# Which delta belongs into which kind of block. A kind that is not here may have any: the vendor adds some.
_BELONGS: Final = {
    "text": {"text_delta", "citations_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
}
_KNOWN_DELTAS: Final = frozenset().union(*_BELONGS.values())


@per_stream(
    Requirement(
        "anthropic.event-name-matches-type",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "The name of every event is the type that its payload states.",
        references=(ANTHROPIC,),
        breaks="anthropic-sdk-python drops an event without its name in silence: an empty answer, no error (tried).",
        fix="Write the event line from the payload's own type.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=anthropic,
    expected="event: and the payload's type alike",
)
def event_name_matches_type(seen: Observed, _case: Case) -> Finding | None:
    return judge_names(seen)


@per_stream(
    Requirement(
        "anthropic.event-order",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "message_start comes first; blocks are numbered from 0, each one starts, has deltas of its own kind and stops "
        "before the next, and the joined input of a tool is JSON.",
        references=(ANTHROPIC, issue("anthropics/anthropic-sdk-go", 200), issue("BerriAI/litellm", 39748)),
        breaks='anthropic-sdk-python raises "Unexpected event order"; readers that collect blocks by index fail.',
        fix="Keep the open block in the translator, and stop it before the next one starts and before the end.",
    ),
    scenarios=(*HAPPY, "tools"),
    applies=anthropic,
    wants=success,
    expected="message_start, then content_block_start, its deltas and content_block_stop, one block after the other",
)
def event_order(seen: Observed, _case: Case) -> Finding | None:
    order = _Order()
    count = 0
    for payload in objects(seen.transcript):
        count += 1
        if problem := order.take(payload):
            return unmet(problem, seen.at(payload.event.offset))
    if not count:
        return None
    if order.open is not None:
        return unmet(f"block {order.open} never stops", seen.at(len(seen.transcript.body)))
    return met(f"{plural(order.next, 'block')}, one after the other")


class _Order:
    """Where a message has got to."""

    def __init__(self) -> None:
        self.started = False
        self.open: int | None = None
        self.next = 0
        self._kind = ""
        self._input = ""

    def take(self, payload: Payload) -> str | None:
        """What is wrong with the next event, or None."""
        kind, index = payload.type, payload.value.get("index")
        if kind == "ping":
            return None
        if kind == "message_start":
            again, self.started = self.started, True
            return "message_start comes twice" if again else None
        if not self.started:
            return f"{printable(kind, 40) or 'an event'} comes before message_start"
        if kind == "content_block_start":
            return self._start(payload, index)
        if kind in ("content_block_delta", "content_block_stop"):
            if self.open is None:
                return f"{kind} outside of any block"
            if index != self.open:
                return f"{kind} of block {printable(str(index), 20)} while block {self.open} is open"
            return self._stop() if kind == "content_block_stop" else self._delta(payload)
        if kind in ("message_delta", "message_stop") and self.open is not None:
            return f"block {self.open} is still open at {kind}"
        return None

    def _start(self, payload: Payload, index: object) -> str | None:
        if self.open is not None:
            return f"block {printable(str(index), 20)} starts while block {self.open} is open"
        if index != self.next:
            return f"block {printable(str(index), 20)} starts where block {self.next} is due"
        kind = dig(payload.value, "content_block", "type")
        if not isinstance(kind, str):
            return f"block {self.next} has no type"
        self.open, self._kind, self._input = self.next, kind, ""
        self.next += 1
        return None

    def _delta(self, payload: Payload) -> str | None:
        kind = dig(payload.value, "delta", "type")
        belongs = _BELONGS.get(self._kind)
        if belongs is not None and kind in _KNOWN_DELTAS - belongs:
            return f"{kind} in a block of type {self._kind}"
        piece = dig(payload.value, "delta", "partial_json")
        self._input += piece if isinstance(piece, str) else ""
        return None

    def _stop(self) -> str | None:
        index, self.open = self.open, None
        if self._input and isinstance(problem := decode(self._input), NotJson):
            return f"the input of block {index} is not JSON: {printable(problem.reason)}"
        return None


@per_stream(
    Requirement(
        "anthropic.payload-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every payload is what the vendor defines for its type: the message of message_start with content and usage, "
        "each delta with the text of its kind, and every member with its type.",
        references=(ANTHROPIC, source("anthropic-sdk-python 2.12, run", "stream() appends to message.content")),
        breaks="messages.stream() of both SDKs raises at a message without content; the raw stream is read (tried).",
        fix="Start the message with content [], stop_reason null and usage; write texts and partial_json as strings.",
        lesser=DOCUMENTED_ONLY,
    ),
    scenarios=(*HAPPY, "tools"),
    applies=anthropic,
    expected='message_start with {"message": {"content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}',
)
def payload_shape(seen: Observed, _case: Case) -> Finding | None:
    return judge_payloads(seen, DEFINITIONS["anthropic"])


@per_stream(
    Requirement(
        "anthropic.message-delta-stop-reason",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Before message_stop a message_delta gives a stop_reason and the output tokens so far, which never fall.",
        references=(ANTHROPIC,),
        breaks="Agents go on with tools only after tool_use; token accounts miss the output.",
        fix="Map the upstream's finish reason: stop is end_turn, length is max_tokens, tool_calls is tool_use.",
        causes={
            "missing-event": (
                "Send the missing event: one message_delta with stop_reason and usage, before message_stop."
            ),
            "no-usage": "Put usage with output_tokens into message_delta.",
            "falling-count": (
                "output_tokens is the count of all tokens so far: send the sum, so that it is never falling."
            ),
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=anthropic,
    wants=success,
    expected="a message_delta with delta.stop_reason and usage.output_tokens",
)
def message_delta_stop_reason(seen: Observed, _case: Case) -> Finding:
    deltas = [payload for payload in objects(seen.transcript) if payload.type == "message_delta"]
    if not deltas:
        return unmet("no message_delta came", seen.at(len(seen.transcript.body)), cause="missing-event")
    last = seen.at(deltas[-1].event.offset)
    counted = 0
    for payload in deltas:
        tokens = dig(payload.value, "usage", "output_tokens")
        offset = payload.event.offset
        if kind_of(tokens) != "number":
            return unmet("a message_delta has no usage.output_tokens", seen.at(offset), cause="no-usage")
        if whole(tokens) is None:
            cannot = f"output_tokens are {described(tokens)}, which cannot be a count of tokens"
            return unmet(cannot, seen.at(offset), cause="no-usage")
        if tokens < counted:
            return unmet(f"output_tokens fall from {counted:,} to {tokens:,}", seen.at(offset), cause="falling-count")
        counted = tokens
    reasons = [reason for payload in deltas if (reason := dig(payload.value, "delta", "stop_reason")) is not None]
    if not reasons:
        return unmet("no message_delta has a stop_reason", last)
    reason = reasons[-1]
    if not isinstance(reason, str):
        return unmet(f"stop_reason is {described(reason)}, not a text", last)
    if reason not in STOP_REASONS:
        return info(f"stop_reason is {printable(reason, 40)!r}, which is not documented", last)
    return met(f"stop_reason {reason}, {counted:,} output tokens")


@per_stream(
    Requirement(
        "anthropic.message-stop-last",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "A stream that succeeds ends with one message_stop and nothing after it.",
        references=(ANTHROPIC, issue("anthropics/anthropic-sdk-python", 688)),
        breaks=("No SDK looks for it, so half an answer passes for a whole one unless the application checks (read)."),
        fix="End every path with message_stop or with an error event; leave out [DONE], which is OpenAI's.",
        lesser="[DONE], which belongs to OpenAI's API, is not in the stream.",
        causes={
            "repeated": "Write message_stop in one place: here two places do, so it is repeated.",
            "not-last": "Write message_stop as the last event, after everything else.",
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=anthropic,
    wants=success,
    expected="message_stop once, as the last event",
)
def message_stop_last(seen: Observed, _case: Case) -> Finding:
    events = [event for event in seen.transcript.events if not is_sentinel(event.data)]
    stops = [payload.event for payload in objects(seen.transcript) if payload.type == "message_stop"]
    if not stops:
        why = seen.transcript.detail or "the stream just ends"
        return unmet(f"no message_stop: {why}", seen.at(len(seen.transcript.body)))
    if len(stops) > 1:
        return unmet(f"message_stop comes {len(stops)} times", seen.at(stops[1].offset), cause="repeated")
    if events[-1] is not stops[0]:
        return unmet("events follow message_stop", seen.behind(stops[0]), cause="not-last")
    if len(events) < len(seen.transcript.events):
        done = next(event for event in seen.transcript.events if is_sentinel(event.data))
        return lesser("[DONE], which is OpenAI's, is in the stream", seen.at(done.offset))
    return met("message_stop once, last")


@per_stream(
    Requirement(
        "anthropic.ping-json",
        SHOULD,
        Severity.MEDIUM,
        Basis.DIALECT,
        'A ping is an event named ping whose data is {"type": "ping"}, and it comes after message_start.',
        references=(ANTHROPIC, source("openai-python and httpx-sse, run", "an event without data is dispatched empty")),
        breaks="Relays and readers that parse the data of every event as JSON fail.",
        fix='Send event: ping with data: {"type":"ping"}, or a comment line, which every reader ignores.',
    ),
    scenarios=(*HAPPY, "quiet-middle"),
    applies=anthropic,
    expected='event: ping with data: {"type": "ping"}',
)
def ping_json(seen: Observed, _case: Case) -> Finding:
    # Clients never see an event without data, so it is not among the parsed events.
    for block in blocks(seen.transcript):
        if b"ping" in block.values(b"event") and not block.values(b"data"):
            return unmet("a ping has no data", seen.at(block.offset))
    started, count = False, 0
    early: Finding | None = None
    for event in seen.transcript.events:
        value = decode(event.data)
        kind = dig(value, "type")
        started = started or kind == "message_start"
        if event.type != "ping" and kind != "ping":
            continue
        count += 1
        if event.type != "ping" or kind != "ping":
            return unmet(f"a ping has the data {printable(event.data, 60)}", seen.at(event.offset))
        if not started:
            early = unmet("a ping comes before message_start", seen.at(event.offset))
    if not count:
        return not_applicable("no ping came, and none is promised")
    return early or met(plural(count, "ping"))


@per_stream(
    Requirement(
        "anthropic.error-event",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        'A failure in mid-stream is an event named error with {"type": "error", "error": {"type", "message"}}, and no '
        "message_stop follows it.",
        references=(ANTHROPIC,),
        breaks="The SDK raises APIStatusError for an event named error, and for nothing else (tried).",
        fix=(
            "Catch every failure after the first byte, and write it as an error event of one of the documented types."
        ),
        causes={
            "success-marker": "Stop after the error event: message_stop says success, so leave it out.",
        },
    ),
    scenarios=("mid-error", *HAPPY),
    applies=anthropic,
    expected='event: error with {"type": "error", "error": {"type", "message"}}, last',
)
def error_event(seen: Observed, _case: Case) -> Finding:
    error = seen.transcript.first(Kind.ERROR)
    if error is None:
        return no_error(seen)
    event = seen.transcript.events[error.event]
    evidence = seen.at(event.offset)
    value = decode(event.data)
    if event.type != "error" or dig(value, "type") != "error":
        return unmet("the error is not an event named error whose type is error", evidence)
    missing = [key for key in ("type", "message") if not isinstance(dig(value, "error", key), str)]
    if missing:
        return unmet(f"the error has no {' and no '.join(missing)}", evidence)
    after = [found for found in seen.transcript.deltas if found.event > error.event and found.delta.kind is Kind.DONE]
    if after:
        return unmet(
            "message_stop follows the error",
            seen.at(seen.transcript.events[after[0].event].offset),
            cause="success-marker",
        )
    return met(f"an error event of type {printable(dig(value, 'error', 'type'), 40)}")
