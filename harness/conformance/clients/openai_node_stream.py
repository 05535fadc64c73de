"""The two `stream()` of the OpenAI SDK for Node, for chat completions and for responses: see the modules of each."""

from collections.abc import Iterator

from streamgauge.conformance.clients.base import Body, Client, Message, speaks
from streamgauge.conformance.clients.openai_node import payloads_of
from streamgauge.conformance.clients.openai_node_chat import ChatCompletionStream
from streamgauge.conformance.clients.openai_node_responses import ResponseStream


def _read(body: Body) -> Iterator[Message]:
    stream = ResponseStream() if body.dialect == "openai-responses" else ChatCompletionStream()
    for payload in payloads_of(body):
        stream.add(payload)
    yield from stream.final()


STREAM = Client(
    name="openai-node stream()",
    source="npm openai 7.57.0: lib/ChatCompletionStream.mjs, lib/responses/ResponseStream.mjs",
    read=_read,
    applies=speaks("openai-chat", "openai-responses"),
    follows="7.57.0",
    gathers=True,
)
