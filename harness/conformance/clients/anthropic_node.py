"""The Anthropic SDK for Node and browsers. Read in npm @anthropic-ai/sdk 1.12.0, core/streaming.mjs.

An event without a name is dropped, as is one without data; what is pending at the end of the body is too. It has no end
marker: message_stop is an event like any other, and the loop goes on until the body ends.
"""

from collections.abc import Iterator
from typing import Any

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, speaks, strict_json
from streamgauge.conformance.clients.openai_node import events_of


def _read(body: Body) -> Iterator[Message]:
    for data, _ in _parsed(body):
        yield Message(data)


def payloads_of(body: Body) -> Iterator[Any]:
    """The values that the raw stream gives. Raises ReportedError for an error event."""
    for _, payload in _parsed(body):
        yield payload


def _parsed(body: Body) -> Iterator[tuple[str, Any]]:
    for kind, data in events_of(body, flush=False):
        if kind == "error":
            raise ReportedError(f"APIError: {data}")
        if kind is None or kind == "ping" or not data:
            continue
        yield data, strict_json(data, "SyntaxError")


RAW = Client(
    name="anthropic-node raw",
    source="npm @anthropic-ai/sdk 1.12.0: core/streaming.mjs",
    read=_read,
    applies=speaks("anthropic"),
    follows="1.12.0",
    events=False,
)
