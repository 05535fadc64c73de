"""Defects of lines and of event boundaries, independent of the payload (WHATWG HTML 9.2.5 and 9.2.6)."""

import re
from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Arg, Events, Facts, Fault, middle
from streamgauge.mock_provider.faults.edit import (
    add_line,
    before_middle_token,
    every_token,
    first_event,
    is_comment,
    middle_token,
    with_struck,
)
from streamgauge.mock_provider.stream import Event, Kind

SSE = frozenset({"stream", "sse"})
JSON = SSE | {"json"}
_COLON_SPACE = re.compile(rb"^(data|event|id|retry): ", re.MULTILINE)
_DATA_LINES = re.compile(rb"^data: .*\n", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
COMMENT_EVERY = 4  # tokens
COMMENT = b": keep-alive\n\n"
_LINE = re.compile(rb"^(?=.)", re.MULTILINE)


def _bom_first(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    first = next(source, None)
    if first is not None:
        yield first._replace(data=_BOM + first.data)
    yield from source


def _heartbeats(beat: bytes) -> Events:
    """Puts `beat` before every fourth token."""

    def events(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
        for event in source:
            if event.token is not None and event.token % COMMENT_EVERY == 0:
                yield Event(Kind.COMMENT, event.step, beat)
            yield event

    return events


def _ids(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        if event.token is None:
            yield event
        else:
            yield event._replace(data=add_line(b"id: %d" % event.token)(event.data))


def _ids_first(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    for event in source:
        yield event if event.token is None else event._replace(data=b"id: %d\n" % event.token + event.data)


def _id_in_force(source: Iterator[Event], arg: Arg, facts: Facts) -> Iterator[Event]:
    """The first event sets an id; a client must not turn the comments that follow into events with that id."""
    for event in source:
        if is_comment(event):
            yield event
            continue
        yield event._replace(data=add_line(b"id: 1")(event.data))
        break
    yield from _heartbeats(COMMENT)(source, arg, facts)


def _merged(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    for event, strikes in with_struck(source, middle(facts.tokens)):
        if strikes:
            following = next(source, None)
            if following is None:
                yield event
                return
            both = event.data[:-1] + b"".join(_DATA_LINES.findall(following.data)) + b"\n"
            yield following._replace(data=both, kind=Kind.TOKEN)
        else:
            yield event


FAULTS = (
    Fault(
        name="crlf",
        sentence="every line ends with CRLF",
        level="text",
        trips=("framing.line-endings",),
        needs=SSE | {"lf"},
        line=lambda data: data.replace(b"\n", b"\r\n"),
    ),
    Fault(
        name="cr",
        sentence="every line ends with CR alone",
        level="text",
        trips=("framing.line-endings",),
        needs=SSE,
        line=lambda data: data.replace(b"\n", b"\r"),
    ),
    Fault(
        name="no-space",
        sentence="no space follows the colon of a field",
        level="text",
        trips=("framing.space-after-colon",),
        needs=SSE,
        line=lambda data: _COLON_SPACE.sub(rb"\1:", data),
    ),
    Fault(
        name="double-space",
        sentence="two spaces follow the colon of a field",
        level="text",
        trips=("framing.space-after-colon",),
        needs=SSE,
        line=lambda data: _COLON_SPACE.sub(rb"\1:  ", data),
    ),
    Fault(
        name="bom",
        sentence="a byte order mark opens the stream (legal: clients ignore the first one)",
        level="text",
        trips=("framing.no-bom",),
        needs=SSE,
        events=_bom_first,
    ),
    Fault(
        name="bom-mid",
        sentence="a byte order mark precedes the middle token's event",
        level="text",
        trips=("framing.no-bom",),
        needs=SSE,
        events=middle_token(lambda data: _BOM + data),
    ),
    Fault(
        name="unknown-field",
        sentence="each token's event has a field that the standard does not define",
        level="text",
        trips=("framing.known-fields",),
        needs=SSE,
        events=every_token(add_line(b"trace: 1")),
    ),
    Fault(
        name="comment-heartbeats",
        sentence=f"a comment precedes every {COMMENT_EVERY}th token (legal)",
        level="text",
        trips=("gemini.data-lines-only",),
        needs=SSE,
        events=_heartbeats(COMMENT),
    ),
    Fault(
        name="heartbeat-data",
        sentence=f"an event with empty data precedes every {COMMENT_EVERY}th token as a heartbeat",
        level="event",
        trips=("framing.no-empty-data", "liveness.heartbeat-is-comment"),
        needs=JSON,
        events=_heartbeats(b"data:\n\n"),
    ),
    Fault(
        name="heartbeat-event",
        sentence=f"a block with an event name and no data precedes every {COMMENT_EVERY}th token as a heartbeat",
        level="event",
        trips=("framing.no-metadata-only-blocks",),
        needs=SSE,
        events=_heartbeats(b"event: ping\n\n"),
    ),
    Fault(
        name="heartbeat-glued",
        sentence=f"a comment without a blank line precedes every {COMMENT_EVERY}th token's event (legal)",
        level="text",
        needs=SSE,
        events=_heartbeats(b": keep-alive\n"),
    ),
    Fault(
        name="heartbeat-after-id",
        sentence="the first event sets an id, and comments follow while that id is in force (legal)",
        level="text",
        trips=("liveness.heartbeat-shape-safe",),
        needs=SSE,
        events=_id_in_force,
    ),
    Fault(
        name="comments-anywhere",
        sentence="a comment precedes every line, within events too (legal)",
        level="text",
        needs=SSE,
        line=lambda data: _LINE.sub(b": note\n", data),
    ),
    Fault(
        name="ids",
        sentence="each token's event has the token's index as its id, but Last-Event-ID is ignored",
        level="text",
        trips=(
            "resume.last-event-id-honoured",
            "resume.no-regeneration",
            "gemini.data-lines-only",
        ),
        needs=SSE,
        events=_ids,
    ),
    Fault(
        name="ids-first",
        sentence="each token's event begins with the token's index as its id, but Last-Event-ID is ignored",
        level="text",
        trips=(
            "resume.last-event-id-honoured",
            "resume.no-regeneration",
            "gemini.data-lines-only",
        ),
        needs=SSE,
        events=_ids_first,
    ),
    Fault(
        name="retry",
        sentence="the first event sets a reconnection time of 3 s, but a reconnection starts a new generation",
        level="text",
        trips=("resume.no-regeneration", "gemini.data-lines-only"),
        needs=SSE,
        events=first_event(lambda data: b"retry: 3000\n" + data),
    ),
    Fault(
        name="merged-events",
        sentence="two payloads share one event block",
        level="text",
        trips=("framing.no-merged-events", "text.json-valid"),
        needs=JSON,
        events=_merged,
    ),
    Fault(
        name="rewrapped",
        sentence="each line is wrapped again, as by a relay (data: data: ...)",
        level="text",
        trips=("framing.no-rewrapped-lines",),
        needs=SSE,
        line=lambda data: _LINE.sub(b"data: ", data),
    ),
    Fault(
        name="empty-data",
        sentence="an event with empty data precedes the middle token",
        level="text",
        trips=("framing.no-empty-data",),
        needs=JSON,
        events=before_middle_token(lambda _: b"data: \n\n"),
    ),
    Fault(
        name="metadata-only",
        sentence="a block with an event name and no data precedes the middle token",
        level="text",
        trips=("framing.no-metadata-only-blocks",),
        needs=SSE,
        events=before_middle_token(lambda _: b"event: ping\n\n"),
    ),
    Fault(
        name="id-nul",
        sentence="the middle token's event has an id with a NUL",
        level="text",
        trips=("framing.id-retry-valid",),
        needs=SSE,
        events=middle_token(add_line(b"id: a\0b")),
    ),
    Fault(
        name="retry-bad",
        sentence="the middle token's event has a retry that is not a number",
        level="text",
        trips=("framing.id-retry-valid",),
        needs=SSE,
        events=middle_token(add_line(b"retry: soon")),
    ),
)
