"""A SignalR hub is named, in every command, instead of a guess about the path."""

import json

import pytest

from streamgauge.endpoint.signalr import is_hub
from tests.builders.command import streamgauge
from tests.cases.server import Request, Service, Writer

NEGOTIATED = {"connectionId": "a", "connectionToken": "b", "negotiateVersion": 1, "availableTransports": [
    {"transport": "ServerSentEvents", "transferFormats": ["Text"]}]}  # fmt: skip


class Hub(Service):
    path = "/chathub"

    async def respond(self, request: Request, writer: Writer) -> None:
        if request.path.endswith("/negotiate"):
            await writer.head("200 OK", "application/json", json.dumps(NEGOTIATED).encode())
        else:
            await writer.head("400 Bad Request", "text/plain", b"Connection ID required")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Connection ID required", True),
        (b"No Connection with that ID", True),
        (json.dumps(NEGOTIATED).encode(), True),
        (b'{"connectionId":"a"}', False),
        (b'{"error":"Connection ID required by policy"}', False),
        (b"\xff[[[", False),
    ],
)
def test_a_hub_is_recognised_by_its_answers(body: bytes, expected: bool) -> None:
    assert is_hub(body) is expected


@pytest.mark.parametrize("path", ["", "/negotiate"])
@pytest.mark.parametrize("command", ["probe", "check", "load", "clients"])
def test_every_command_names_the_hub(command: str, path: str) -> None:
    with Hub() as url:
        done = streamgauge(command, url + path)

    assert done.returncode == 3
    printed = " ".join((done.stderr + done.stdout).split())
    assert "this is a SignalR hub, not an SSE endpoint" in printed
    assert "map one beside the hub" in printed
