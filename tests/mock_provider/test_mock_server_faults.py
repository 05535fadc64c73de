"""Server-wide faults: each changes what it says, and the server knows none of them by name."""

import ast
import re
import socket
from pathlib import Path

import pytest

from streamgauge import mock_provider
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.faults.base import Fault
from streamgauge.mock_provider.faults.server_hook import ServerHook
from tests.mock_provider.fault_wire import play
from tests.mock_provider.mock_wire import HTTP, connect, exchange, read_to_end, request_bytes

# Faults of the whole server: what is sent, and the first line and content type that answer it.
BAD_JSON = b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 4\r\n\r\n{,,}"
NO_PROMPT = b"POST /plain HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
WRONG_METHOD = b"GET /v1/chat/completions HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "request_", "status"),
    [("ok-on-bad-json", BAD_JSON, 400), ("no-validation", NO_PROMPT, 400), ("no-allow", WRONG_METHOD, 405)],
)
def test_a_missing_check_lets_a_bad_request_through(mock: MockServer, name: str, request_: bytes, status: int) -> None:
    right = exchange(mock.url, request_)
    assert right.status == status
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=(name,))) as faulty:
        wrong = exchange(faulty.url, request_)
    if name == "no-allow":
        assert (right.header("allow"), wrong.status, wrong.header("allow")) == (["POST"], 405, [])
    else:
        assert (wrong.status, wrong.whole) == (200, True)


def test_a_fragile_server_does_not_get_over_a_client_that_leaves() -> None:
    with MockServer(MockConfig(tokens=50, ttft="0", itl="20ms", faults=("fragile",))) as fragile:
        assert play(fragile, "raw-text", "[[mock tokens=1]]").status == 200
        with connect(fragile.url) as client:
            client.sendall(request_bytes("raw-text", "[[mock id=left]]"))
            client.recv(100)
        HTTP.get(f"{fragile.url}/_mock/streams/left", params={"wait": 5})
        assert play(fragile, "raw-text", "[[mock tokens=1]]").status == 500


def test_a_leaking_server_runs_out_of_slots() -> None:
    with MockServer(MockConfig(tokens=50, ttft="0", itl="20ms", key_slots=1, faults=("leaks-slots",))) as leaking:
        assert play(leaking, "raw-text", "[[mock tokens=1]]").status == 200
        with connect(leaking.url) as client:
            client.sendall(request_bytes("raw-text", "[[mock id=left]]"))
            client.recv(100)
        HTTP.get(f"{leaking.url}/_mock/streams/left", params={"wait": 5})
        assert play(leaking, "raw-text", "[[mock tokens=1]]").status == 429


@pytest.mark.parametrize(
    ("path", "status", "begins"), [("/v1/chat/completions", 405, b'{"error"'), ("/stream", 200, b"")]
)
def test_head_has_a_body_as_if_it_were_get(mock: MockServer, path: str, status: int, begins: bytes) -> None:
    request = f"HEAD {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n".encode()
    right = exchange(mock.url, request)
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=("head-as-get",))) as faulty:
        wrong = exchange(faulty.url, request)
    assert (right.status, right.body) == (405, b"")
    assert wrong.status == status
    assert wrong.body.startswith(begins or b"data: ")


def test_a_server_that_always_streams() -> None:
    request = request_bytes("openai-chat", "hi", stream=False)
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=("always-streams",))) as faulty:
        answer = exchange(faulty.url, request)
    assert answer.header("content-type") == ["text/event-stream"]
    assert answer.chunks[-1] == b"data: [DONE]\n\n"


def half_closed(server: MockServer) -> tuple[bytes, str]:
    """What still comes after the first bytes, and how it ends, to a client that has closed its sending side."""
    with connect(server.url) as client:
        client.sendall(request_bytes("raw-text", "[[mock id=half tokens=30 itl=5ms]]"))
        first = client.recv(65_536)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client, first, silence_s=0.3)


@pytest.mark.parametrize(
    ("faults", "end", "whole"),
    [((), "fin", True), (("half-close-hangs",), "open", False), (("half-close-hangs:1ms",), "fin", False)],
)
def test_after_a_half_close_a_stream_goes_on_or_falls_silent(faults: tuple[str, ...], end: str, whole: bool) -> None:
    with MockServer(MockConfig(ttft="0", on_disconnect="continue", faults=faults)) as server:
        data, ended = half_closed(server)
        assert (ended, data.endswith(b"0\r\n\r\n")) == (end, whole)
        if end == "fin":
            entry = HTTP.get(f"{server.url}/_mock/streams/half", params={"wait": 5}).json()["streams"][-1]
            assert (entry["end"], entry["disconnect"]["kind"]) == ("disconnected", "fin")


def test_a_server_wide_fault_is_refused_in_a_directive(mock: MockServer) -> None:
    answer = play(mock, "openai-chat", "[[mock fault=no-allow]]")
    assert (answer.status, b"--fault no-allow" in answer.rest) == (400, True)


SERVER_WIDE = [name for name, fault in FAULTS.items() if fault.server_wide]
PACKAGE = Path(mock_provider.__file__).parent


def words(source: str) -> set[str]:
    """Every word of a file, with - in place of _."""
    return set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", source.lower().replace("_", "-")))


def strings(source: str) -> set[str]:
    """Every string literal of a module."""
    return {str(node.value) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}


def test_no_code_outside_the_faults_knows_a_fault_by_its_name() -> None:
    """A fault that is renamed in its own file still works: it acts through hooks."""
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "faults"]
    assert len(modules) > 50
    # Words that are also names of scripts, ends, headers and fields.
    common = {"silent", "fin", "rst", "status", "ids", "retry", "cr", "content-length"}
    named = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in modules
        for name in (words(path.read_text()) & set(SERVER_WIDE)) | (strings(path.read_text()) & set(FAULTS) - common)
    }
    assert named == set()


def test_a_server_wide_fault_added_in_one_place_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Teapot(ServerHook):
        def outage(self) -> str:
            return "short and stout"

    fault = Fault(name="teapot", sentence="x", level="http", server=lambda _: Teapot())
    monkeypatch.setitem(FAULTS, "teapot", fault)
    with MockServer(MockConfig(faults=("teapot",))) as server:
        answer = play(server, "raw-text", "hi")
    assert (answer.status, b"short and stout" in answer.rest) == (500, True)
