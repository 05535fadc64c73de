"""Defects of the chunks of OpenAI Chat Completions."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from streamgauge.mock_provider.faults.base import Answer, Arg, Events, Facts, Fault, middle
from streamgauge.mock_provider.faults.edit import before_middle_token, edit_payload
from streamgauge.mock_provider.stream import Event, Item, Kind

OPENAI = frozenset({"stream", "openai"})
USAGE = OPENAI | {"usage-chunk"}


def _chunks(change: Callable[[dict[str, Any]], dict[str, Any]], *kinds: Kind) -> Events:
    """Applies `change` to the chunks of `kinds`, or to all if there are none, but not to errors without choices."""

    def chunk(value: dict[str, Any]) -> dict[str, Any]:
        return change(value) if "choices" in value else value

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            yield (event._replace(data=edit_payload(event.data, chunk)) if not kinds or event.kind in kinds else event)

    return events


def _finish_null(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"choices": [choice | {"finish_reason": None} for choice in chunk["choices"]]}


def _finish_wrong(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"choices": [choice | {"finish_reason": "done"} for choice in chunk["choices"]]}


def _zero_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"usage": _zero(chunk["usage"])}


def _zero(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: _zero(count) if isinstance(count, dict) else 0 for name, count in counts.items()}


def _twice(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        yield event
        if event.kind is Kind.FINISH:
            yield event


def _other_id(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    struck = middle(facts.tokens)
    for event in source:
        if event.step < struck:
            yield event
        else:
            yield event._replace(data=edit_payload(event.data, _renamed))


def _renamed(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"id": f"{chunk['id']}x"} if "id" in chunk else chunk  # an error chunk has no id


def _error_as_string(payload: Any) -> Any:
    error = payload.get("error") if isinstance(payload, dict) else None
    return payload | {"error": error["message"]} if isinstance(error, dict) else payload


def _answer_with_string(answer: Answer) -> Answer:
    try:
        payload = json.loads(answer.body)
    except ValueError:  # an HTML page
        return answer
    return answer._replace(body=json.dumps(_error_as_string(payload)).encode())


def _error_events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        is_error = event.kind is Kind.ERROR
        yield event._replace(data=edit_payload(event.data, _error_as_string)) if is_error else event


def _without_usage(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    return (item for item in source if item.kind is not Kind.USAGE)


FAULTS = (
    Fault(
        name="finish-null",
        sentence="the finish chunk's finish_reason is null",
        level="event",
        trips=("openai-chat.finish-reason",),
        needs=OPENAI,
        events=_chunks(_finish_null, Kind.FINISH),
    ),
    Fault(
        name="finish-wrong",
        sentence='the finish chunk\'s finish_reason is "done", which the API does not define',
        level="event",
        trips=("openai-chat.finish-reason", "errors.context-length", "errors.content-filter"),
        needs=OPENAI,
        events=_chunks(_finish_wrong, Kind.FINISH),
    ),
    Fault(
        name="finish-twice",
        sentence="the finish chunk comes twice",
        level="event",
        trips=("openai-chat.finish-reason",),
        needs=OPENAI,
        events=_twice,
    ),
    Fault(
        name="changed-id",
        sentence="the id changes at the middle token",
        level="event",
        trips=("openai-chat.constant-id",),
        needs=OPENAI,
        events=_other_id,
    ),
    Fault(
        name="usage-missing",
        sentence="no usage chunk comes although the request asked for it",
        level="event",
        trips=("openai-chat.usage-chunk",),
        needs=USAGE,
        items=_without_usage,
    ),
    Fault(
        name="usage-zero",
        sentence="the usage chunk counts zero tokens",
        level="event",
        trips=("openai-chat.usage-chunk",),
        needs=USAGE,
        events=_chunks(_zero_usage, Kind.USAGE),
    ),
    Fault(
        name="empty-choices",
        sentence="a chunk without choices precedes the middle token",
        level="event",
        trips=("openai-chat.empty-choices-only-usage",),
        needs=OPENAI,
        events=before_middle_token(lambda data: edit_payload(data, lambda chunk: chunk | {"choices": []})),
    ),
    Fault(
        name="wrong-object",
        sentence='every chunk has "object": "chat.completion" in place of "chat.completion.chunk"',
        level="event",
        trips=("openai-chat.chunk-shape",),
        needs=OPENAI,
        events=_chunks(lambda chunk: chunk | {"object": "chat.completion"}),
    ),
    Fault(
        name="error-null-key",
        sentence='every chunk carries "error": null',
        level="event",
        trips=("openai-chat.no-null-error-key",),
        needs=OPENAI,
        events=_chunks(lambda chunk: chunk if "error" in chunk else chunk | {"error": None}),
    ),
    Fault(
        name="error-string",
        sentence="an error is a string where the API has an object, in the stream and in place of it",
        level="event",
        trips=("openai-chat.error-shape", "errors.machine-readable"),
        needs=OPENAI | {"error"},
        events=_error_events,
        answered=_answer_with_string,
    ),
)
