"""Microsoft's EventSource with POST. Rules from npm @microsoft/fetch-event-source 2.0.1: lib/esm/parse.js, fetch.js.

Every blank line ends a message, even one without data. A field name without a colon is ignored. Names and values are
decoded separately, so a byte order mark in front of a name or a value is removed.
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
    js_text,
)
from streamgauge.conformance.clients.lines import any_lines


def _read(body: Body) -> Iterator[Message]:
    if not (body.media_type or "").startswith(EVENT_STREAM):
        raise RefusedError(
            f"Error: Expected content-type to be {EVENT_STREAM}; the client sends the request again every second"
        )
    kind, data = "", ""
    for line in any_lines(body, rest=False):
        if not line:
            yield Message(data, kind or MESSAGE)
            kind, data = "", ""
            continue
        raw_name, colon, raw_value = line.partition(b":")
        if not colon or not raw_name:
            continue
        name, value = js_text(raw_name), js_text(raw_value.removeprefix(b" "))
        if name == "data":
            data = f"{data}\n{value}" if data else value
        elif name == "event":
            kind = value


CLIENT = Client(
    name="fetch-event-source",
    source="npm @microsoft/fetch-event-source 2.0.1: lib/esm/parse.js",
    read=_read,
    applies=any_event_stream,
    follows="2.0.1",
)
