"""What tutorials show for fetch(): decode, split at a blank line, take what begins with `data: `, JSON.parse it.

As in the TypeScript hook of "Streaming AI Responses in .NET" (Learnixo, 2026): an event with `done` true ends it. There
is no code for CRLF, event names or [DONE].
"""

import codecs
from collections.abc import Iterator

from streamgauge.conformance.clients.base import Body, Client, EmulatedError, Message, json_events, strict_json


def _read(body: Body) -> Iterator[Message]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    parts: list[str] = []
    started = False
    for piece in body:
        text = decoder.decode(piece)
        if text and not started:
            text, started = text.removeprefix("\ufeff"), True
        # The separator may be cut in two by a read, so the last character is looked at again.
        text = (parts.pop() if parts else "") + text
        *events, last = text.split("\n\n")
        if events:
            events[0] = "".join(parts) + events[0]
            parts = []
        parts += [last[:-1], last[-1:]]
        for event in events:
            if not event.startswith("data: "):
                continue
            payload = strict_json(event[6:], "SyntaxError")
            if payload is None:
                raise EmulatedError("TypeError: Cannot read properties of null (reading 'done')")
            if isinstance(payload, dict) and payload.get("done"):
                return
            yield Message(event[6:])


CLIENT = Client(
    name='fetch split("\\n\\n")',
    source="a tutorial's React hook, TypeScript",
    read=_read,
    applies=json_events,
    events=False,
    naive=True,
)
