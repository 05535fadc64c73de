"""The real Ollama client for Python. It takes each line of httpx's iter_lines() for a JSON object.

The raw stream hands the objects on. `chat()` and `generate()` make typed responses of them, which refuse wrong types.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, Message, ReportedError, speaks
from streamgauge.conformance.clients.httpx_lines import response_of

if TYPE_CHECKING:
    import ollama


@contextmanager
def _replaying(body: Body) -> Iterator["ollama.Client"]:
    """A client whose requests are answered with `body`. Raises ReportedError for an error in the stream."""
    import ollama  # an optional package

    with httpx.MockTransport(lambda _: response_of(body)) as transport:
        try:
            yield ollama.Client(host="http://replay", transport=transport, trust_env=False)
        except ollama.ResponseError as error:
            raise ReportedError(f"ResponseError: {error.error}") from None


def _read(body: Body) -> Iterator[Message]:
    with _replaying(body) as client:
        for part in client._request(dict, "POST", "/api/chat", stream=True):
            yield Message(json.dumps(part))


def _gather(body: Body) -> Iterator[Message]:
    with _replaying(body) as client:
        if body.dialect == "ollama-generate":
            yield Message("".join(part.response or "" for part in client.generate("replay", stream=True)), TEXT)
            return
        text: list[str] = []
        for part in client.chat("replay", stream=True):
            text.append(part.message.content or "")
            for call in part.message.tool_calls or ():
                yield Message(json.dumps(dict(call.function.arguments)), ARGUMENTS)
        yield Message("".join(text), TEXT)


RAW = Client(
    name="ollama-python raw",
    source="ollama itself: ollama/_client.py",
    read=_read,
    applies=speaks("ollama", "ollama-generate"),
    package="ollama",
    least="0.6",
    events=False,
)
TYPED = RAW._replace(
    name="ollama-python chat()",
    source="ollama itself: ollama/_types.py",
    read=_gather,
    events=True,
    gathers=True,
)
