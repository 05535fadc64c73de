"""The browser's EventSource: the standard itself, so it shares the strict reading with the checks.

https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2. It sends GET only, wants a 200 with
text/event-stream, knows no end marker, and sends its request again whenever the body ends.
"""

from collections.abc import Iterator

from streamgauge.conformance.clients.base import EVENT_STREAM, Body, Client, Message, RefusedError, any_event_stream
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


def _applies(dialect: Dialect | None, method: str) -> str | None:
    return "sends only GET" if method != "GET" else any_event_stream(dialect, method)


CLIENT = Client(
    name="EventSource",
    source="WHATWG HTML, section 9.2",
    read=_read,
    applies=_applies,
    reconnects=True,
)
