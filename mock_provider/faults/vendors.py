"""Defects of vendors' own events: names, sequence numbers, ends of parts, and errors outside any event."""

from collections.abc import Callable, Iterator
from typing import Any

from streamgauge.mock_provider.faults.base import Arg, Events, Facts, Fault, middle
from streamgauge.mock_provider.faults.edit import edit_payload, middle_token, with_struck
from streamgauge.mock_provider.faults.errors import ERROR, error_after
from streamgauge.mock_provider.stream import Event, Item, Kind

TYPED = frozenset({"stream", "typed"})
NUMBERED = frozenset({"stream", "numbered"})
ANTHROPIC = frozenset({"stream", "anthropic"})
GEMINI = frozenset({"stream", "gemini"})
VENDOR = frozenset({"stream", "vendor"})
BARE_ERROR = b"Internal Server Error\n\n"


def _each(change: Callable[[bytes], bytes], *kinds: Kind) -> Events:
    """Applies `change` to the bytes of each event of `kinds`, or of all if there are none."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            yield event._replace(data=change(event.data)) if not kinds or event.kind in kinds else event

    return events


def _unnamed(data: bytes) -> bytes:
    return b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"event: "))


def _unclosed(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    return (item for item in source if item.kind is not Kind.CLOSE)


def _skipped_number(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    behind = False
    for event, strikes in with_struck(source, middle(facts.tokens)):
        behind = behind or strikes
        yield event._replace(data=edit_payload(event.data, _one_more)) if behind else event


def _one_more(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"sequence_number": value["sequence_number"] + 1} if "sequence_number" in value else value


def _without_reason(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"delta": value["delta"] | {"stop_reason": None}} if "delta" in value else value


def _without_content(value: dict[str, Any]) -> dict[str, Any]:
    if "message" not in value:
        return value
    kept = {name: item for name, item in value["message"].items() if name not in ("content", "stop_reason")}
    return value | {"message": kept}


def _completed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Events:
    """Applies `change` to the response of response.completed."""

    def payload(value: dict[str, Any]) -> dict[str, Any]:
        is_last = value.get("type") == "response.completed"
        return value | {"response": change(value["response"])} if is_last else value

    return _each(lambda data: edit_payload(data, payload), Kind.DONE)


def _without_output(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name not in ("output", "usage")}


_TEXTS = ("content", "text", "delta", "response")


def _numbered_text(value: Any) -> Any:
    """The payload with a number for each text that is not empty."""
    if isinstance(value, list):
        return [_numbered_text(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: 5 if name in _TEXTS and isinstance(item, str) and item else _numbered_text(item)
        for name, item in value.items()
    }


def _empty_pings(data: bytes) -> bytes:
    return data.replace(b'event: ping\ndata: {"type":"ping"}\n', b"event: ping\n")


FAULTS = (
    Fault(
        name="unnamed-events",
        sentence="events have no names; only the payload tells their type",
        level="event",
        trips=("anthropic.event-name-matches-type", "openai-responses.event-matches-type", "cohere.lifecycle"),
        needs=TYPED,
        events=_each(_unnamed),
    ),
    Fault(
        name="unclosed-part",
        sentence="the events that end a text, a reasoning or a tool call are missing",
        level="event",
        trips=("anthropic.event-order", "openai-responses.item-lifecycle", "cohere.lifecycle"),
        needs=TYPED,
        items=_unclosed,
    ),
    Fault(
        name="sequence-gap",
        sentence="one sequence number is skipped before the middle token",
        level="event",
        trips=("openai-responses.sequence-number",),
        needs=NUMBERED,
        events=_skipped_number,
    ),
    Fault(
        name="stop-reason-null",
        sentence="the stop_reason of message_delta is null",
        level="event",
        trips=("anthropic.message-delta-stop-reason",),
        needs=ANTHROPIC,
        events=_each(lambda data: edit_payload(data, _without_reason), Kind.FINISH),
    ),
    Fault(
        name="message-no-content",
        sentence="the message of message_start has no content and no stop_reason",
        level="event",
        trips=("anthropic.payload-shape",),
        needs=ANTHROPIC,
        events=_each(lambda data: edit_payload(data, _without_content), Kind.START),
    ),
    Fault(
        name="completed-no-output",
        sentence="the response of response.completed has no output and no usage",
        level="event",
        trips=("openai-responses.payload-shape",),
        needs=NUMBERED,
        events=_completed(_without_output),
    ),
    Fault(
        name="completed-empty-output",
        sentence="the output of response.completed is empty",
        level="event",
        trips=("openai-responses.item-lifecycle",),
        needs=NUMBERED,
        events=_completed(lambda response: response | {"output": []}),
    ),
    Fault(
        name="text-number",
        sentence="the text of the middle token is a number",
        level="event",
        trips=(
            "openai-chat.chunk-shape",
            "openai-responses.payload-shape",
            "anthropic.payload-shape",
            "gemini.candidates-shape",
            "cohere.payload-shape",
            "ollama.payload-shape",
            "custom.ai-sdk-chunks",
        ),
        needs=VENDOR,
        events=middle_token(lambda data: edit_payload(data, _numbered_text)),
    ),
    Fault(
        name="ping-empty",
        sentence="pings are named events without data",
        level="event",
        trips=("anthropic.ping-json", "framing.no-metadata-only-blocks"),
        needs=ANTHROPIC,
        events=_each(_empty_pings),
    ),
    Fault(
        name="array-payloads",
        sentence="each payload is wrapped in a JSON array, as without alt=sse",
        level="event",
        trips=("gemini.candidates-shape",),
        needs=GEMINI,
        events=_each(lambda data: edit_payload(data, lambda value: [value])),
    ),
    Fault(
        name="error-bare",
        sentence="after COUNT tokens (default half) a bare line of text in place of the dialect's error, then the end",
        level="event",
        trips=(
            "errors.mid-stream-event",
            "anthropic.error-event",
            "openai-responses.error-then-failed",
            "ollama.error-line",
        ),
        needs=ERROR,
        takes="count",
        items=error_after,
        events=_each(lambda _: BARE_ERROR, Kind.ERROR),
    ),
)
