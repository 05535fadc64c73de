"""Streams whose success marker is missing, comes twice, or is not the last event."""

from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Arg, Facts, Fault, middle, strike
from streamgauge.mock_provider.faults.edit import with_struck
from streamgauge.mock_provider.faults.tcp import no_final_chunk
from streamgauge.mock_provider.stream import Event, Item, Kind

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


def _swapped(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    for event, strikes in with_struck(source, middle(facts.tokens)):
        following = next(source, None) if strikes else None
        if following is None:
            yield event
            continue
        # The first write keeps the later due time, so the swap delays no other event.
        yield following
        yield event._replace(step=following.step)


def _cut_event(source: Iterator[Event], arg: Arg, facts: Facts) -> Iterator[Event]:
    struck = strike(arg, facts)
    for event in source:
        if event.step >= struck and event.data:
            yield event._replace(data=event.data[: len(event.data) // 2], token=None)
            return
        yield event


def unterminated(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    """The body without its last line feed."""
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
            "anthropic.message-stop-last",
            "openai-responses.single-terminal-last",
            "gemini.finish-reason",
            "ollama.done-true-last",
            "cohere.lifecycle",
        ),
        needs=MARKER,
        items=_without_done,
    ),
    Fault(
        name="double-terminal",
        sentence="the success marker comes twice",
        level="event",
        trips=(
            "termination.single-terminal",
            "openai-chat.done-sentinel",
            "custom.token-done-shape",
            "anthropic.message-stop-last",
            "openai-responses.single-terminal-last",
            "ollama.done-true-last",
            "cohere.lifecycle",
        ),
        needs=MARKER,
        events=_done_twice,
    ),
    Fault(
        name="content-after-terminal",
        sentence="one more token follows the success marker",
        level="event",
        trips=(
            "termination.single-terminal",
            "openai-chat.done-sentinel",
            "custom.token-done-shape",
            "anthropic.message-stop-last",
            "openai-responses.single-terminal-last",
            "gemini.finish-reason",
            "ollama.done-true-last",
            "cohere.lifecycle",
        ),
        needs=MARKER,
        events=_afterthought,
    ),
    Fault(
        name="swapped-events",
        sentence="the middle token's event and the next one change places",
        level="event",
        trips=("text.concat-equals-final",),
        events=_swapped,
    ),
    Fault(
        name="cut-mid-event",
        sentence="after COUNT tokens (default half) comes half an event, then a clean end of the body",
        level="event",
        trips=("framing.event-terminated", "termination.explicit-end"),
        takes="count",
        body=_cut_event,
    ),
    Fault(
        name="fin-mid-event",
        sentence="after COUNT tokens (default half) comes a whole chunk with half an event, then a FIN",
        level="tcp",
        trips=("http.chunked-framing", "framing.event-terminated", "termination.explicit-end"),
        takes="count",
        body=_cut_event,
        wire=no_final_chunk,
    ),
    Fault(
        name="no-final-blank",
        sentence="the last event lacks the blank line that ends it",
        level="text",
        trips=("framing.event-terminated",),
        needs=frozenset({"stream", "sse", "finite"}),
        events=unterminated,
    ),
)
