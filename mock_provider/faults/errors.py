"""Errors in a stream or in place of it, correct and incorrect."""

from collections.abc import Iterator
from itertools import pairwise

from streamgauge.mock_provider.faults.base import Answer, Arg, Facts, Fault, strike
from streamgauge.mock_provider.stream import Event, Item, Kind

ERROR = frozenset({"stream", "error"})
ERROR_TEXT = "Error: the upstream model failed while it was generating"
RETRY_AFTER_S = 1
# A message with everything that ends a line or an event, as providers send them.
LINES = "the upstream model failed while it was generating\nstreamgauge-second line\r\n\r\nstreamgauge-third line"
TOO_LONG = "This model's maximum context length is 128000 tokens; the messages have 200000. Shorten them."


def error_after(source: Iterator[Item], arg: Arg, facts: Facts, text: str = "") -> Iterator[Item]:
    """The tokens before the strike, then the dialect's own error, then the end of the body."""
    struck = strike(arg, facts)
    for item in source:
        if item.step >= struck:
            yield Item(Kind.ERROR, item.step, text)
            return
        yield item


def _error_of_lines(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    return error_after(source, arg, facts, LINES)


def _unframed(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        if event.kind is Kind.ERROR:
            # Raw text has a prefix on each line to remove, JSON has escapes to undo.
            lines = event.data.split(b"\n")
            bare = [line[6:] if _repeats(before, line) else line for before, line in pairwise([b"", *lines])]
            event = event._replace(data=b"\n".join(bare).replace(b"\\r", b"\r").replace(b"\\n", b"\n"))
        yield event


def _repeats(before: bytes, line: bytes) -> bool:
    return before.startswith(b"data: ") and line.startswith(b"data: ")


def _error_then_done(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    struck = strike(arg, facts)
    failed = False
    for item in source:
        if item.step < struck:
            yield item
            continue
        if not failed:
            yield Item(Kind.ERROR, item.step)
            failed = True
        if item.kind is Kind.DONE:
            yield item


def _error_as_content(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    struck = strike(arg, facts)
    failed = False
    for item in source:
        if item.step < struck:
            yield item
            continue
        if item.kind is Kind.OPEN:
            yield item
            continue
        if not failed:
            yield Item(Kind.TOKEN, item.step, ERROR_TEXT, part=item.part)
            failed = True
        if item.kind is not Kind.TOKEN:
            yield item


def status_answer(
    status: int, facts: Facts, message: str | None = None, *, retry_after_s: int | None = RETRY_AFTER_S
) -> Answer:
    """An error status with the dialect's body; 429 and 503 carry Retry-After (RFC 9110 section 10.2.3)."""
    usual = {429: "rate limit reached", 503: "the model is overloaded"}.get(status, f"mock status {status}")
    content_type, body = facts.error_reply(status, message or usual)
    waits = status in (429, 503) and retry_after_s is not None
    headers = (("Retry-After", str(retry_after_s)),) if waits else ()
    return Answer(status, content_type, body, headers)


def _status(arg: Arg, facts: Facts) -> Answer:
    return status_answer(arg.count if arg.count is not None else 500, facts)


def _status_of_lines(arg: Arg, facts: Facts) -> Answer:
    return status_answer(arg.count if arg.count is not None else 500, facts, LINES)


def _too_long(_arg: Arg, facts: Facts) -> Answer:
    return Answer(400, *facts.error_reply(400, TOO_LONG, code="context_length_exceeded"))


FAULTS = (
    Fault(
        name="error-event",
        sentence="after COUNT tokens (default half) comes the dialect's own error, then a clean end without the marker",
        level="event",
        trips=("termination.explicit-end",),
        needs=ERROR,
        takes="count",
        items=error_after,
    ),
    Fault(
        name="error-lines",
        sentence="like error-event, with line breaks and a blank line in the message",
        level="event",
        trips=("termination.explicit-end",),
        needs=ERROR,
        takes="count",
        items=_error_of_lines,
    ),
    Fault(
        name="error-unframed",
        sentence="line breaks in an error's message are not escaped, so the rest of the message falls out of the event",
        level="text",
        trips=("errors.message-framed",),
        needs=ERROR | {"sse"},
        events=_unframed,
    ),
    Fault(
        name="error-then-done",
        sentence="after COUNT tokens (default half) comes the dialect's own error, and then the success marker",
        level="event",
        trips=(
            "errors.no-success-after-error",
            "termination.single-terminal",
            "anthropic.error-event",
            "ollama.error-line",
        ),
        needs=ERROR | {"marker", "finite"},
        takes="count",
        items=_error_then_done,
    ),
    Fault(
        name="error-as-content",
        sentence="after COUNT tokens (default half) an error comes as the text of a token, then a successful end",
        level="event",
        trips=("errors.distinguishable-from-content",),
        needs=frozenset({"stream", "finite"}),
        takes="count",
        items=_error_as_content,
    ),
    Fault(
        name="status",
        sentence="an error status (default 500) with the dialect's error body; 429 and 503 carry Retry-After",
        level="http",
        streams=False,
        trips=("http.status-200",),
        needs=frozenset(),
        takes="status",
        answer=_status,
    ),
    Fault(
        name="status-lines",
        sentence="like status, with line breaks and a blank line in the message",
        level="http",
        streams=False,
        trips=("http.status-200",),
        needs=frozenset(),
        takes="status",
        answer=_status_of_lines,
    ),
    Fault(
        name="context-length",
        sentence="status 400 with the code context_length_exceeded, as after a prompt that is too long (legal)",
        level="http",
        streams=False,
        needs=frozenset(),
        answer=_too_long,
    ),
)
