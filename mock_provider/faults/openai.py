"""Defects of OpenAI's chunks."""

from collections.abc import Callable, Iterator
from typing import Any

from mock_provider.faults.base import Arg, Events, Facts, Fault, middle
from mock_provider.faults.edit import before_middle_token, edit_payload
from mock_provider.stream import Event, Item, Kind

OPENAI = frozenset({"stream", "openai"})


def _chunks(change: Callable[[dict[str, Any]], dict[str, Any]], *kinds: Kind) -> Events:
    """Applies `change` to the chunks of some kinds, to all when none is named."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            yield (event._replace(data=edit_payload(event.data, change)) if not kinds or event.kind in kinds else event)

    return events


def _finish_null(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"choices": [choice | {"finish_reason": None} for choice in chunk["choices"]]}


def _zero_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk | {"usage": dict.fromkeys(chunk["usage"], 0)}


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
            yield event._replace(data=edit_payload(event.data, lambda chunk: chunk | {"id": f"{chunk['id']}x"}))


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
        needs=OPENAI,
        items=_without_usage,
    ),
    Fault(
        name="usage-zero",
        sentence="the usage chunk counts zero tokens",
        level="event",
        trips=("openai-chat.usage-chunk",),
        needs=OPENAI,
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
        sentence='every chunk says object "chat.completion"',
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
        events=_chunks(lambda chunk: chunk | {"error": None}),
    ),
)
