"""Streams that end without their marker, or not with it."""

from collections.abc import Iterator

from mock_provider.faults.base import Arg, Facts, Fault
from mock_provider.stream import Event, Item, Kind

MARKER = frozenset({"stream", "marker"})
AFTERTHOUGHT = " afterthought"


def _without_done(source: Iterator[Item], _arg: Arg, _facts: Facts) -> Iterator[Item]:
    return (item for item in source if item.kind is not Kind.DONE)


def _done_twice(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        yield event
        if event.kind is Kind.DONE:
            yield event


def _afterthought(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    for event in source:
        yield event
        if event.kind is Kind.DONE:
            yield Event(Kind.TOKEN, event.step, facts.encode(Item(Kind.TOKEN, event.step, AFTERTHOUGHT)))


def _no_final_blank(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    held: Event | None = None
    for event in source:
        if event.kind is Kind.END:
            continue
        if held is not None:
            yield held
        held = event
    if held is not None:
        yield held._replace(data=held.data[:-1])


FAULTS = (
    Fault(
        name="no-terminal",
        sentence="the success marker never comes; the body ends cleanly",
        level="event",
        trips=(
            "termination.explicit-end",
            "openai-chat.done-sentinel",
            "custom.explicit-done-event",
            "custom.token-done-shape",
        ),
        needs=MARKER,
        items=_without_done,
    ),
    Fault(
        name="double-terminal",
        sentence="the success marker comes twice",
        level="event",
        trips=("termination.single-terminal", "openai-chat.done-sentinel", "custom.token-done-shape"),
        needs=MARKER,
        events=_done_twice,
    ),
    Fault(
        name="content-after-terminal",
        sentence="one more token follows the success marker",
        level="event",
        trips=("termination.single-terminal", "openai-chat.done-sentinel", "custom.token-done-shape"),
        needs=MARKER,
        events=_afterthought,
    ),
    Fault(
        name="no-final-blank",
        sentence="the last event lacks the blank line that ends it",
        level="text",
        trips=("framing.event-terminated",),
        needs=frozenset({"stream", "sse", "finite"}),
        events=_no_final_blank,
    ),
)
