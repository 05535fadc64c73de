"""Tool calls that a client cannot reassemble; they need an answer with tool calls (directive `tools`)."""

from collections.abc import Callable, Iterator
from typing import Any

from streamgauge.mock_provider.faults.base import Arg, Events, Facts, Fault
from streamgauge.mock_provider.faults.edit import edit_payload
from streamgauge.mock_provider.stream import Event, Item, Kind, PartKind

CALLS = frozenset({"stream", "tool-calls"})
OPENAI = CALLS | {"openai"}
TEXT = CALLS | {"call-text"}
_TOOL_CALLS = b'"tool_calls":['


def _each_delta(change: Callable[[dict[str, Any], dict[int | None, str]], None]) -> Events:
    """Applies `change` to each piece of a tool call, with the calls' ids by index, which it may update."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        ids: dict[int | None, str] = {}

        def payload(chunk: dict[str, Any]) -> dict[str, Any]:
            for choice in chunk["choices"]:
                for call in choice["delta"]["tool_calls"]:
                    change(call, ids)
            return chunk

        for event in source:
            yield event._replace(data=edit_payload(event.data, payload)) if _TOOL_CALLS in event.data else event

    return events


def _without_index(call: dict[str, Any], _ids: dict[int | None, str]) -> None:
    call.pop("index", None)


def _repeated_id(call: dict[str, Any], ids: dict[int | None, str]) -> None:
    index = call.get("index")  # None if another fault has removed it: then the newest call's
    if "id" in call:
        ids[index] = call["id"]
    call["id"] = ids[index]


def _object_arguments(call: dict[str, Any], _ids: dict[int | None, str]) -> None:
    function = call["function"]
    function["arguments"] = {"text": function.get("arguments", "")}


def _broken_arguments(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    held: Item | None = None
    for item in source:
        if held is not None:
            yield held._replace(text=held.text[:-1]) if item.kind is Kind.CLOSE else held
            held = None
        if item.kind is Kind.TOKEN and item.part.kind is PartKind.TOOL:
            held = item
        else:
            yield item


FAULTS = (
    Fault(
        name="tool-no-index",
        sentence="no piece of a tool call has the index of its call",
        level="event",
        trips=("openai-chat.tool-call-deltas",),
        needs=OPENAI,
        events=_each_delta(_without_index),
    ),
    Fault(
        name="tool-id-repeated",
        sentence="every piece of a tool call repeats the call's id, as if each began a call",
        level="event",
        trips=("openai-chat.tool-call-deltas",),
        needs=OPENAI,
        events=_each_delta(_repeated_id),
    ),
    Fault(
        name="tool-arguments-object",
        sentence="the arguments in each piece of a tool call are an object in place of a string",
        level="event",
        trips=("openai-chat.chunk-shape",),
        needs=OPENAI,
        events=_each_delta(_object_arguments),
    ),
    Fault(
        name="tool-bad-json",
        sentence="the arguments of each tool call lack their last character",
        level="event",
        trips=(
            "openai-chat.tool-args-json",
            "anthropic.event-order",
        ),
        needs=TEXT,
        items=_broken_arguments,
    ),
)
