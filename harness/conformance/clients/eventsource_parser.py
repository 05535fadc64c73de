"""eventsource-parser behind a TextDecoderStream. Read in npm eventsource-parser 3.1.1, dist/index.js and stream.js.

The parser under the Vercel AI SDK, the MCP TypeScript SDK and the eventsource package. A CR in the last place of what
has come waits for a piece with another line end, also at the end of the body: of a stream with CR line ends the last
event never comes.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.clients.base import MESSAGE, Body, Client, Message, any_event_stream

_LINE_END: Final = re.compile(r"\r\n|\n|\r(?!\Z)")


def _read(body: Body) -> Iterator[Message]:
    kind, data = "", list[str]()
    for line in _lines(body):
        if not line:
            if data:
                yield Message("\n".join(data), kind or MESSAGE)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value


def _lines(body: Body) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending: list[str] = []
    started = False
    for piece in body:
        text = decoder.decode(piece)
        if text and not started:
            text, started = text.removeprefix("\ufeff"), True
        pending.append(text)
        if "\n" in text or "\r" in text:
            *lines, rest = _LINE_END.split("".join(pending))
            pending = [rest]
            yield from lines


CLIENT = Client(
    name="eventsource-parser",
    source="npm eventsource-parser 3.1.1: dist/index.js",
    read=_read,
    applies=any_event_stream,
    follows="3.1.1",
)
