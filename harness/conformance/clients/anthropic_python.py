"""The real Anthropic SDK for Python, whose HTTP transport answers from the capture: its raw stream, and `stream()`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, Message, ReportedError, speaks

if TYPE_CHECKING:
    import anthropic


@contextmanager
def _replaying(body: Body) -> Iterator["anthropic.Anthropic"]:
    """A client of the SDK whose requests are answered with `body`. Raises ReportedError for an error in the stream."""
    import anthropic  # an optional package that takes one second to import

    from streamgauge.conformance.clients.sdk import http_client

    http = http_client(body)
    with anthropic.Anthropic(api_key="none", base_url="http://replay", max_retries=0, http_client=http) as client:
        try:
            yield client
        except anthropic.APIStatusError as error:
            raise ReportedError(f"{type(error).__name__}: {error.message}") from None


def _read(body: Body) -> Iterator[Message]:
    import anthropic

    with _replaying(body) as client:
        for payload in client.post(
            "/v1/messages", body={}, cast_to=object, stream=True, stream_cls=anthropic.Stream[object]
        ):
            yield Message(json.dumps(payload))


def _gather(body: Body) -> Iterator[Message]:
    with _replaying(body) as client, client.messages.stream(model="replay", max_tokens=1, messages=[]) as stream:
        message = stream.get_final_message()
        yield Message("".join(block.text for block in message.content if block.type == "text"), TEXT)
        for block in message.content:
            if block.type == "tool_use":
                yield Message(json.dumps(block.input), ARGUMENTS)


RAW = Client(
    name="anthropic-python raw",
    source="anthropic itself: anthropic/_streaming.py",
    read=_read,
    applies=speaks("anthropic"),
    package="anthropic",
    least="2.12",
    events=False,
)
STREAM = RAW._replace(
    name="anthropic-python stream()",
    source="anthropic itself: anthropic/lib/streaming/_messages.py",
    read=_gather,
    events=True,
    gathers=True,
)
