"""The emulations against the real clients, where those can be run; the project's users need none of them.

STREAMGAUGE_NODE_CLIENTS names a folder where `npm install openai@7.57.0 @anthropic-ai/sdk@1.12.0
eventsource-parser@3.1.1 @microsoft/fetch-event-source@2.0.1 ai@7.0.173` was run; STREAMGAUGE_ASPNET names the folder of
the .NET programs.
"""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from streamgauge.conformance.clients import CLIENTS, openai_dotnet, system_net_sse
from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, Message
from streamgauge.conformance.clients.running import Ending, How, run
from streamgauge.protocol.dialects.payload import NotJson, decode
from tests.harness.conformance.clients.bodies import changed_streams, random_bodies
from tests.harness.conformance.clients.corpus import BODIES
from tests.harness.conformance.clients.dotnet_bodies import BODIES as DOTNET_BODIES

NODE = os.environ.get("STREAMGAUGE_NODE_CLIENTS")
ASPNET = os.environ.get("STREAMGAUGE_ASPNET")
ORACLE = Path(__file__).with_name("node_oracle.mjs")
BY_NAME = {client.name: client for client in CLIENTS}

Given = tuple[list[tuple[str, str]], bool]
"""The messages that came, and whether the client raised after them."""


def emulated(client: Client, pieces: Sequence[bytes]) -> Given:
    result = run(client, Body(pieces), Ending.EOF)
    given = [(message.type, message.data) for message in result.messages]
    return normal(client, given), result.how in (How.RAISED, How.REPORTED)


def normal(client: Client, messages: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Where a client gives values, JSON has many spellings and no event type."""
    return messages if client.events else [("message", json.dumps(json.loads(data))) for _, data in messages]


@pytest.mark.skipif(not (NODE and shutil.which("node")), reason="STREAMGAUGE_NODE_CLIENTS names no npm clients")
@pytest.mark.parametrize(
    "name",
    ["openai-node raw", "anthropic-node raw", "eventsource-parser", "fetch-event-source", 'fetch split("\\n\\n")'],
)
def test_an_npm_client(name: str) -> None:
    client = BY_NAME[name]
    bodies = [[one.body] for one in BODIES.values()] + [pieces for _, pieces in random_bodies(1_000)]
    real = node([{"client": name, "pieces": [b64encode(piece).decode() for piece in pieces]} for pieces in bodies])

    assert len(real) == len(bodies)
    differing = [
        (pieces, ours, theirs)
        for pieces, one in zip(bodies, real, strict=True)
        if (ours := emulated(client, pieces))
        != (theirs := (normal(client, [(kind, data) for kind, data in one["messages"]]), one["error"] is not None))
    ]
    assert differing == []


def node(asked: list[dict[str, object]]) -> list[dict[str, Any]]:
    lines = "".join(f"{json.dumps(one)}\n" for one in asked)
    done = subprocess.run(["node", str(ORACLE)], input=lines, capture_output=True, text=True, check=True, timeout=100)
    return [json.loads(line) for line in done.stdout.split("\n") if line]  # not splitlines(): U+2028 is in there


@pytest.mark.skipif(not (NODE and shutil.which("node")), reason="STREAMGAUGE_NODE_CLIENTS names no npm clients")
@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("openai-node stream()", "openai-chat"),
        ("openai-node stream()", "openai-responses"),
        ("anthropic-node stream()", "anthropic"),
        ("ai useChat()", "ai-sdk-ui"),
    ],
)
def test_a_helper_of_an_npm_client(name: str, dialect: str) -> None:
    """The finished message, or that there is none, for streams with a few members changed, left out, or moved."""
    bodies = list(changed_streams(dialect, 1_500))
    real = node([{"client": f"{name} {dialect}", "pieces": [b64encode(body).decode()]} for body in bodies])
    differing = []
    for body, row in zip(bodies, real, strict=True):
        result = run(BY_NAME[name], Body([body], dialect=dialect), Ending.EOF)
        ours = gathered(result.messages) if result.how is How.ENDED or result.how is How.STOPPED else result.error
        theirs = row["error"] or gathered([Message(data, kind) for kind, data in row["messages"]])
        if isinstance(ours, list) != isinstance(theirs, list) or (isinstance(ours, list) and ours != theirs):
            differing.append((ours, theirs, body.decode()))
    assert differing == []


def gathered(messages: Sequence[Message]) -> list[Any]:
    """The text, and each call's arguments: their value where they are JSON."""
    text = "".join(message.data for message in messages if message.type == TEXT)
    calls = [message.data for message in messages if message.type == ARGUMENTS]
    return [text, *(call if isinstance(decode(call), NotJson) else decode(call) for call in calls)]


@pytest.mark.skipif(not ASPNET, reason="STREAMGAUGE_ASPNET does not name the .NET programs")
@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_system_net_server_sent_events(size: int) -> None:
    """Each run starts .NET anew, so the bodies go through together where they cannot mix, one after the other."""
    assert ASPNET is not None
    quirky = [body for body, _ in random_bodies(60, seed=11) if b"\xef" not in body]
    for body in [b"\xef\xbb\xbf" + b"\n\n".join(quirky), b"event: ping\n\ndata: x\r\rdata", BODIES["CR"].body]:
        command = [str(Path(ASPNET) / "run"), "clients", "sse", str(size)]
        done = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        real = [(row["event_type"], row["data"]) for row in rows if "event_type" in row]
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert emulated(system_net_sse.CLIENT, pieces) == (real, False)


class _Replay(BaseHTTPRequestHandler):
    """Answers every request with the server's body."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body: bytes = self.server.body  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.mark.skipif(not ASPNET, reason="STREAMGAUGE_ASPNET does not name the .NET programs")
def test_openai_dotnet() -> None:
    """The text of all updates, and whether the SDK raised. It is started anew for each body: a minute in all."""
    assert ASPNET is not None
    differing = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Replay) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        for name, body in DOTNET_BODIES.items():
            server.body = body  # type: ignore[attr-defined]
            command = [str(Path(ASPNET) / "run"), "clients", "openai", url, "Hi"]
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            real = ("".join(row.get("text") or "" for row in rows), "error" in rows[-1])
            result = run(openai_dotnet.CLIENT, Body([body]), Ending.EOF)
            text = "".join(message.data for message in result.messages if message.type == TEXT)
            if (text, result.how is How.RAISED) != real:
                differing.append((name, (text, result.error), rows))
        server.shutdown()
    assert differing == []
