"""A SignalR hub is named, in every command, instead of a guess about the path; --hub-method measures it."""

import json
from pathlib import Path

import pytest

from streamgauge.endpoint.signalr import is_hub
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target
from streamgauge.protocol.dialects.signalr import HubTable
from tests.builders.command import streamgauge
from tests.builders.signalr_hub import COMPLETION, NEGOTIATED, Script, hub
from tests.cases.server import Request, Service, Writer


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
    assert "--hub-method NAME" in printed


def test_a_hub_is_measured_by_its_method() -> None:
    with hub() as running:
        done = streamgauge("probe", running.url, "--hub-method", "Ask", "--prompt", "Hi")
    assert done.returncode == 0, done.stderr
    assert "signalr" in done.stdout
    assert "2 (by token events) in 2 events" in done.stdout
    assert [call["arguments"] for call in running.invocations] == [["Hi"]]


def test_a_target_file_gives_other_arguments_and_the_place_of_the_text(tmp_path: Path) -> None:
    items = [{"type": 2, "invocationId": "0", "item": {"delta": text}} for text in ("Hel", "lo")]
    with hub(Script((*items, COMPLETION))) as running:
        file = tmp_path / "hub.toml"
        file.write_text(
            f"""url = "{running.url}"
prompt = "Hi"
[signalr]
method = "Ask"
arguments = ["room 7", {{text = "{{{{prompt}}}}", limit = 20}}]
[stream]
text = "/delta"
"""
        )
        done = streamgauge("probe", "--target", file)
    assert done.returncode == 0, done.stderr
    assert running.invocations[0]["arguments"] == ["room 7", {"text": "Hi", "limit": 20}]


@pytest.mark.parametrize("command", [["check"], ["clients"], ["diagnose", "--via"], ["overhead", "--direct"]])
def test_what_cannot_measure_a_hub_says_what_can(command: list[str]) -> None:
    with hub() as running:
        more = ["--via", running.url] if command[0] == "overhead" else []
        done = streamgauge(*command, running.url, "--hub-method", "Ask", *more)
        assert running.requests == []
    assert done.returncode == 2
    assert f"{command[0]} cannot measure a SignalR hub" in done.stderr
    assert "--hub-method NAME" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--method", "POST"], "method cannot be given"),
        (["--http2", "--compressed"], "http2, compressed cannot be given"),
        (["--dialect", "raw-text"], "dialect cannot be given"),
    ],
)
def test_a_hub_is_asked_in_one_way_only(options: list[str], says: str) -> None:
    done = streamgauge("probe", "http://127.0.0.1:1/hub", "--hub-method", "Ask", *options)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())


def test_a_method_has_a_name() -> None:
    done = streamgauge("probe", "http://127.0.0.1:1/hub", "--hub-method", "")
    assert done.returncode == 2
    assert "no name" in done.stderr


def test_a_refused_negotiation_is_not_called_an_unknown_hub() -> None:
    """The harness has negotiated: the advice to do so would lead nowhere."""
    offers = [{"transport": "WebSockets", "transferFormats": ["Text"]}]
    with hub(Script(negotiated={**NEGOTIATED, "availableTransports": offers})) as running:
        done = streamgauge("probe", running.url, "--hub-method", "Ask")
    assert done.returncode == 3
    assert "does not offer the transport ServerSentEvents" in " ".join(done.stderr.split())
    assert "not an SSE endpoint" not in done.stderr


def test_a_key_and_the_connection_s_token_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_KEY", "sk-5u9f0a8b7c6d5e4f")
    with hub() as running:
        shown = [
            streamgauge("probe", running.url, "--hub-method", "Ask", "--api-key-env", "HUB_KEY", "--show-wire"),
            streamgauge("probe", running.url, "--hub-method", "Ask", "--show-wire"),
        ]
    keys = [headers.get("Authorization") for _, _, headers in running.requests]
    assert keys == ["Bearer sk-5u9f0a8b7c6d5e4f"] * 4 + [None] * 4
    for done in shown:
        assert done.returncode == 0
        assert "sk-5u9f0a8b7c6d5e4f" not in done.stdout + done.stderr
        assert "ken" not in done.stdout.replace("token", "") + done.stderr


def test_a_secret_among_the_arguments_is_hidden_from_then_on() -> None:
    target = as_target(Target(url="http://test/hub", signalr=HubTable("Ask", [{"api_key": "hunter2-and-more"}])))
    assert "hunter2-and-more" not in repr(target)
    assert b"hunter2-and-more" in (target.request().body or b"")
