"""System.Net.ServerSentEvents, under the OpenAI, Azure and Anthropic SDKs for .NET and in .NET itself.

Read in dotnet/runtime, src/libraries/System.Net.ServerSentEvents/src/System/Net/ServerSentEvents/SseParser_1.cs; run
in .NET 10. It differs from the standard in one thing: a block without data keeps its event type for the next one. A CR
in the last place waits for more, but the end of the body releases it.
"""

from collections.abc import Iterator
from typing import Final

from streamgauge.conformance.clients.base import MESSAGE, Body, Client, Message, any_event_stream
from streamgauge.conformance.clients.lines import any_lines

_BOM: Final = b"\xef\xbb\xbf"


def _read(body: Body) -> Iterator[Message]:
    for kind, data in events_of(body):
        yield Message(data.decode("utf-8", "replace"), kind)


def events_of(body: Body) -> Iterator[tuple[str, bytes]]:
    """The type and the data of each event."""
    kind: str | None = None
    data: list[bytes] = []
    for number, raw in enumerate(any_lines(body, rest=False, hold_cr=True)):
        line = raw.removeprefix(_BOM) if number == 0 else raw
        if not line:
            if data:
                yield MESSAGE if kind is None else kind, b"\n".join(data)
                kind, data = None, []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value.decode("utf-8", "replace")


CLIENT = Client(
    name="System.Net.ServerSentEvents",
    source="dotnet/runtime: SseParser_1.cs; .NET 10",
    read=_read,
    applies=any_event_stream,
    follows=".NET 10",
)
