"""The deltas of an event whose payload is the text itself: raw-text and event-text."""

from typing import Final

from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.custom import finish_of
from streamgauge.protocol.dialects.foreign import foreign, is_done
from streamgauge.protocol.dialects.payload import object_of
from streamgauge.protocol.eventstream import Event

AROUND: Final = frozenset(
    {"start", "end", "open", "close", "finish", "stop", "complete", "metadata", "meta", "info", "status", "session",
     "id", "usage", "run", "config"}
)  # fmt: skip
"""Names of events that frameworks send around the events with text."""


def text_deltas(event: Event, *, amid_json: bool) -> list[Delta]:
    """An error, a heartbeat, an end marker, or else the text.

    `amid_json`: other events of the stream carry text, so JSON objects and events such as `event: metadata` do not.
    """
    if is_done(event):
        return [*finish_of(object_of(event.data)), Delta(Kind.DONE)]
    # Only these can be foreign events, and most tokens are not.
    if (event.data.startswith(("{", "[")) or event.type != "message") and (known := foreign(event)):
        return [known]
    if amid_json and (event.type in AROUND or (event.data.startswith("{") and object_of(event.data))):
        return [Delta(Kind.META)]
    return [Delta(Kind.CONTENT, event.data)]
