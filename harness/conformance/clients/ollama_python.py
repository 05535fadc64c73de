"""The Ollama client for Python itself, which takes each line of httpx's iter_lines() for a JSON object."""

import json
from collections.abc import Iterator

import httpx

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, speaks
from streamgauge.conformance.clients.httpx_lines import response_of


def _read(body: Body) -> Iterator[Message]:
    import ollama  # an extra

    with httpx.MockTransport(lambda _: response_of(body)) as transport:
        client = ollama.Client(host="http://replay", transport=transport, trust_env=False)
        try:
            for part in client._request(dict, "POST", "/api/chat", stream=True):
                yield Message(json.dumps(part))
        except ollama.ResponseError as error:
            raise ReportedError(f"ResponseError: {error.error}") from None


CLIENT = Client(
    name="ollama-python",
    source="ollama itself: ollama/_client.py",
    read=_read,
    applies=speaks("ollama", "ollama-generate"),
    package="ollama",
    least="0.6",
    events=False,
)
