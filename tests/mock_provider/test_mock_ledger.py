"""Lockstep, the ledger, and what it says of clients that leave."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.mock_provider.mock_wire import (
    HTTP,
    connect,
    exchange,
    parse,
    read_to_end,
    read_until,
    request_bytes,
    wait_for,
)


def new_id() -> str:
    return f"t-{uuid4().hex[:12]}"


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def ended(control: httpx.Client, stream_id: str) -> dict:
    return control.get(f"/streams/{stream_id}", params={"wait": 5}).json()["streams"][-1]


@pytest.fixture
def endless() -> Iterator[MockServer]:
    """A server whose streams go on when their client has left."""
    with MockServer(MockConfig(tokens=10, ttft="0", itl="10ms", on_disconnect="continue")) as server:
        yield server


def test_writes_match_the_bytes_received(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    before_ns = time.time_ns()
    with connect(mock.url) as client:
        client.sendall(request_bytes("openai-chat", f"hi [[mock id={stream_id} tokens=5 ttft=20ms itl=5ms]]"))
        raw, _ = read_to_end(client)
    entry = ended(control, stream_id)
    writes = entry["writes"]
    assert sum(writes["bytes"]) == len(raw)
    assert writes["token"] == [None, None, 0, 1, 2, 3, 4, None, None, None, None]
    assert writes["t_ns"] == sorted(writes["t_ns"])
    assert before_ns < entry["arrival_ns"] <= entry["head_ns"] <= writes["t_ns"][0]
    assert writes["t_ns"][-1] <= entry["end_ns"] < time.time_ns()
    # Absolute deadlines, of which none comes early by more than half of a timer's millisecond.
    for token, t_ns in zip(writes["token"], writes["t_ns"], strict=True):
        if token is not None:
            assert t_ns - entry["arrival_ns"] > 20_000_000 + token * 5_000_000 - 600_000
    assert (entry["end"], entry["status"], entry["disconnect"]) == ("complete", 200, None)
    assert (entry["tokens_planned"], entry["tokens_written"], entry["write_blocked_ns"]) == (5, 5, 0)
    assert (entry["dialect"], entry["method"], entry["http_version"]) == ("openai-chat", "POST", "1.1")
    assert stream_id in entry["prompt"]


@pytest.mark.parametrize("dialect", ["openai-chat", "event-json", "plain-text"])
def test_lockstep_writes_a_token_only_when_it_is_released(
    mock: MockServer, control: httpx.Client, dialect: str
) -> None:
    stream_id = new_id()
    with connect(mock.url) as client:
        client.sendall(request_bytes(dialect, f"[[mock id={stream_id} script=lockstep tokens=3]]"))
        data = read_until(client, b'"role":"assistant"' if dialect == "openai-chat" else b"\r\n\r\n")
        for step in range(4):
            wait_for(lambda: control.get(f"/streams/{stream_id}").status_code == 200)
            entry = control.get(f"/streams/{stream_id}").json()["streams"][-1]
            assert entry["tokens_written"] == step
            assert entry["end"] is None
            answer = control.post(f"/streams/{stream_id}/release", params={"upto": step + 1}).json()
            assert answer == {"released": step + 1, "known": True}
            if step < 3:
                wait_for(lambda: control.get(f"/streams/{stream_id}").json()["streams"][-1]["tokens_written"] > step)  # noqa: B023
        data, end = read_to_end(client, data)
    answer = parse(data, end)
    assert (answer.whole, answer.end) == (True, "fin")
    assert ended(control, stream_id)["script"] == "lockstep"


def test_a_release_may_come_before_the_stream_and_never_closes_again(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    release = f"/streams/{stream_id}/release"
    assert control.post(release, params={"upto": 9}).json() == {"released": 9, "known": False}
    assert control.post(release, params={"upto": 2}).json() == {"released": 9, "known": False}
    answer = exchange(mock.url, request_bytes("raw-text", f"[[mock id={stream_id} script=lockstep tokens=3]]"))
    assert (answer.whole, len(answer.chunks)) == (True, 3)


@pytest.mark.parametrize("kind", ["fin", "rst"])
@pytest.mark.parametrize("script", ["silent", "lockstep"])
def test_a_disconnect_is_noticed_while_nothing_is_written(
    mock: MockServer, control: httpx.Client, kind: str, script: str
) -> None:
    stream_id = new_id()
    client = connect(mock.url)
    client.sendall(request_bytes("json-string", f"[[mock id={stream_id} script={script} tokens=3]]"))
    read_until(client, b"\r\n\r\n")
    left_ns = time.time_ns()
    if kind == "rst":
        reset(client)
    else:
        client.close()
    entry = ended(control, stream_id)
    assert entry["end"] == "disconnected"
    assert entry["disconnect"]["kind"] == kind
    assert entry["disconnect"]["t_ns"] >= left_ns
    assert (entry["disconnect"]["tokens_before"], entry["disconnect"]["tokens_after"]) == (0, 0)


def test_a_disconnect_before_the_head(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    with connect(mock.url) as client:
        client.sendall(request_bytes("json-string", f"[[mock id={stream_id} fault=no-answer]]"))
        wait_for(lambda: control.get(f"/streams/{stream_id}").status_code == 200)
    entry = ended(control, stream_id)
    assert (entry["end"], entry["head_ns"], entry["status"]) == ("disconnected", None, None)


def test_tokens_stop_when_the_client_leaves(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    with connect(mock.url) as client:
        client.sendall(request_bytes("raw-text", f"[[mock id={stream_id} script=endless itl=5ms]]"))
        read_until(client, b"data: ")
    entry = ended(control, stream_id)
    assert (entry["end"], entry["tokens_planned"]) == ("disconnected", None)
    assert entry["disconnect"]["tokens_before"] >= 1
    assert entry["disconnect"]["tokens_after"] == 0


@pytest.mark.parametrize("kind", ["fin", "rst"])
def test_tokens_go_on_if_told_so(endless: MockServer, kind: str) -> None:
    stream_id = new_id()
    client = connect(endless.url)
    client.sendall(request_bytes("raw-text", f"[[mock id={stream_id}]]"))
    read_until(client, b"data: ")
    if kind == "rst":
        reset(client)
    else:
        client.close()
    with httpx.Client(base_url=f"{endless.url}/_mock") as control:
        entry = ended(control, stream_id)
    disconnect = entry["disconnect"]
    assert (entry["end"], entry["tokens_written"]) == ("disconnected", 10)
    assert disconnect["tokens_before"] + disconnect["tokens_after"] == 10
    assert disconnect["tokens_after"] >= 1


@pytest.mark.parametrize(("fault", "end"), [("rst:1", "fault"), ("truncated-chunk", "fault"), ("crlf", "complete")])
def test_the_mocks_own_faults_are_no_disconnects(mock: MockServer, control: httpx.Client, fault: str, end: str) -> None:
    stream_id = new_id()
    exchange(mock.url, request_bytes("json-string", f"[[mock id={stream_id} fault={fault}]]"))
    entry = ended(control, stream_id)
    assert (entry["end"], entry["disconnect"], entry["faults"]) == (end, None, [fault.partition(":")[0]])


def test_a_reader_that_does_not_read_blocks_the_writer(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    with connect(mock.url) as client:
        client.sendall(request_bytes("plain-text", f"[[mock id={stream_id} tokens=400 text=big]]"))

        def stuck() -> bool:
            counts = []
            for _ in range(2):
                time.sleep(0.05)
                counts.append(control.get(f"/streams/{stream_id}").json()["streams"][-1]["tokens_written"])
            return counts[0] == counts[1]

        wait_for(lambda: control.get(f"/streams/{stream_id}").status_code == 200)
        wait_for(stuck)
        raw, end = read_to_end(client)
    entry = ended(control, stream_id)
    assert (entry["end"], entry["tokens_written"], end) == ("complete", 400, "fin")
    assert entry["write_blocked_ns"] > 0
    assert sum(entry["writes"]["bytes"]) == len(raw)


def test_retries_with_one_id_are_all_there(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    for _ in range(3):
        exchange(mock.url, request_bytes("raw-text", f"[[mock id={stream_id} fault=status:503]]"))
    answer = control.get(f"/streams/{stream_id}").json()
    assert (answer["schema"], answer["id"], answer["count"]) == (1, stream_id, 3)
    assert [entry["status"] for entry in answer["streams"]] == [503] * 3


def test_a_connection_serves_request_after_request(mock: MockServer) -> None:
    with connect(mock.url) as client:
        for _ in range(3):
            client.sendall(request_bytes("json-string", "[[mock tokens=2]]", headers=()))
            answer = parse(read_until(client, b"0\r\n\r\n"), "open")
            assert (answer.whole, len(answer.chunks)) == (True, 3)
        # Two at once are answered in order.
        both = [request_bytes("json-string", f"[[mock tokens={n}]]", headers=()) for n in (2, 1)]
        client.sendall(b"".join(both))
        data = read_until(client, b"0\r\n\r\n")
        while data.count(b"0\r\n\r\n") < 2:
            data += client.recv(65_536)
        assert data.count(b"[DONE]") == 2


def test_a_request_in_single_bytes(mock: MockServer) -> None:
    with connect(mock.url) as client:
        for byte in request_bytes("openai-chat", "hi"):
            client.sendall(bytes([byte]))
        answer = parse(*read_to_end(client))
    assert answer.whole


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nHost: m\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"POST /plain HTTP/1.1\r\nHost: m\r\nContent-Length: 16777300\r\n\r\n" + b"a" * 16_777_300, 413),
        (b"GET /health HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    ],
)
def test_hostile_or_odd_http(mock: MockServer, request_: bytes, status: int) -> None:
    with connect(mock.url) as client:
        try:
            client.sendall(request_)
        except (BrokenPipeError, ConnectionResetError):
            assert status == 413  # refused while it was still being sent
            return
        raw, _ = read_to_end(client, silence_s=0.2)
    assert raw.startswith(b"HTTP/1.1 %d " % status) or (status in (413, 431) and not raw)


def test_expect_100_continue(mock: MockServer) -> None:
    head, _, body = request_bytes("plain-text", "hi", headers=("Expect: 100-continue",)).partition(b"\r\n\r\n")
    with connect(mock.url) as client:
        client.sendall(head + b"\r\n\r\n")
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_control_listing_summary_and_reset() -> None:
    with (
        MockServer(MockConfig(tokens=2, ttft="0", itl="0", ledger_size=3)) as server,
        httpx.Client(base_url=f"{server.url}/_mock") as control,
    ):
        for n in range(5):
            exchange(server.url, request_bytes("raw-text", f"[[mock id=s{n}]]"))
        listed = control.get("/streams").json()
        assert [entry["id"] for entry in listed["streams"]] == ["s2", "s3", "s4"]
        assert [entry["seq"] for entry in listed["streams"]] == [3, 4, 5]
        assert "writes" not in listed["streams"][0]
        assert [entry["id"] for entry in control.get("/streams?limit=1").json()["streams"]] == ["s4"]
        assert [entry["id"] for entry in control.get("/streams?since=4").json()["streams"]] == ["s4"]
        assert control.get("/streams/s1").status_code == 404
        summary = control.get("/summary").json()
        assert (summary["complete"], summary["active"], summary["seen"], summary["tokens_written"]) == (3, 0, 5, 6)
        assert control.post("/reset", json={}).status_code == 200
        assert control.get("/streams").json()["streams"] == []


def test_control_clock_and_faults(control: httpx.Client) -> None:
    before_ns = time.time_ns()
    clock = control.get("/clock").json()
    assert before_ns < clock["realtime_ns"] < time.time_ns()
    assert clock["monotonic_ns"] < time.monotonic_ns()
    rst = next(fault for fault in control.get("/faults").json()["faults"] if fault["name"] == "rst")
    assert rst["level"] == "tcp"
    assert "http.chunked-framing" in rst["trips"]


def test_a_wait_for_a_stream_that_never_comes_ends(control: httpx.Client) -> None:
    response = control.get("/streams/nobody", params={"wait": 0.05})
    assert response.status_code == 404
    assert "nobody" in response.json()["error"]["message"]


def test_a_wait_begins_before_its_stream(mock: MockServer, control: httpx.Client) -> None:
    stream_id = new_id()
    with connect(mock.url) as waiting:
        waiting.sendall(
            f"GET /_mock/streams/{stream_id}?wait=5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert control.get(f"/streams/{stream_id}").status_code == 404
        exchange(mock.url, request_bytes("raw-text", f"[[mock id={stream_id} itl=10ms]]"))
        raw, _ = read_to_end(waiting)
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["streams"][0]["end"] == "complete"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/streams/a%2Fb", 404),
        ("POST", "/clock", 405),
        ("GET", "/reset", 405),
        ("DELETE", "/streams/a", 405),
        ("GET", "/streams/a/release", 405),
        ("POST", "/streams/a/release", 400),
        ("POST", "/streams/a/release?upto=-1", 400),
        ("POST", "/streams/a/release?upto=x", 400),
        ("GET", "/streams?limit=x", 400),
        ("GET", "/streams/a?wait=x", 400),
        ("GET", "/streams/a?wait=nan", 400),
        ("GET", "/streams/a?wait=61", 400),
    ],
)
def test_control_refusals(control: httpx.Client, method: str, path: str, status: int) -> None:
    response = control.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_control_token() -> None:
    with MockServer(MockConfig(control_token="open sesame")) as server:
        url = f"{server.url}/_mock/clock"
        assert HTTP.get(url).status_code == 401
        assert HTTP.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert HTTP.get(url, headers={"Authorization": "Bearer open sesame"}).status_code == 200
