"""The browser's EventSource: the standard itself, so it shares the strict reading with the checks.

https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2. It sends GET only, wants a 200 with
text/event-stream, knows no end marker, and sends its request again whenever the body ends. A page with a listener for
each event name gets all events. A page that only sets `onmessage` gets the events without a name.
"""

from collections.abc import Iterator

from streamgauge.conformance.clients.base import (
    EVENT_STREAM,
    MESSAGE,
    Body,
    Client,
    Message,
    RefusedError,
    any_event_stream,
)
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.eventstream import Interpreter, Lexer


def _read(body: Body) -> Iterator[Message]:
    if body.media_type != EVENT_STREAM:
        raise RefusedError(f"Content-Type must be {EVENT_STREAM}: the connection fails for good")
    lexer, interpreter = Lexer(), Interpreter()
    for piece in body:
        for line in lexer.feed(piece, 0):
            if event := interpreter.feed(line):
                yield Message(event.data, event.type)


def _read_unnamed(body: Body) -> Iterator[Message]:
    return (message for message in _read(body) if message.type == MESSAGE)


def _applies(dialect: Dialect | None, method: str) -> str | None:
    return "sends only GET" if method != "GET" else any_event_stream(dialect, method)


LISTENERS = Client(
    name="EventSource",
    source="WHATWG HTML, section 9.2",
    read=_read,
    applies=_applies,
    reconnects=True,
)
ONMESSAGE = Client(
    name="EventSource.onmessage",
    source="WHATWG HTML, section 9.2.6: an event with a name is dispatched under that name only",
    read=_read_unnamed,
    applies=_applies,
    naive=True,
    reconnects=True,
)
