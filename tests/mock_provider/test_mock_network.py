"""TLS, Unix sockets, draining, workers, timeouts, and what hostile traffic leaves behind."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.ledger import PROMPT_LIMIT, WRITES_LIMIT, Entry, Ledger
from streamgauge.mock_provider.listening import Listening
from tests.bench.hostile import Siege, besiege
from tests.mock_provider.mock_wire import (
    HTTP,
    connect,
    exchange,
    parse,
    quietly,
    read_to_end,
    read_until,
    request_bytes,
    wait_for,
)


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The mock as a process, and the URL of its first line."""
    line = [sys.executable, "-m", "streamgauge.mock_provider", "--port", "0", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip().partition("listening on ")[2]
        finally:
            process.kill()


def open_entry(ledger: Ledger, name: str = "x") -> Entry:
    return ledger.open(
        id=name, method="", path="", dialect="", http_version="1.1", prompt="", faults=[], script="play",
        tokens_planned=1, arrival_ns=0,
    )  # fmt: skip


# TLS and Unix sockets


def test_self_signed_tls_streams_and_tells_of_disconnects(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    listening = Listening(tls="self-signed", tls_ca=str(ca))
    with MockServer(MockConfig(tokens=5, ttft="0", itl="5ms", listening=listening)) as server:
        assert server.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(ca))
        with httpx.Client(base_url=server.url, verify=context) as client:
            body = {"stream": True, "messages": [{"role": "user", "content": "[[mock id=t1]]"}]}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.text.count('"content":') == 6
            assert answer.text.endswith("data: [DONE]\n\n")
            entry = client.get("/_mock/streams/t1").json()["streams"][0]
            assert (entry["end"], entry["tokens_written"]) == ("complete", 5)
            with client.stream("GET", "/stream", params={"message": "[[mock id=t2 script=silent]]"}):
                pass
            entry = client.get("/_mock/streams/t2", params={"wait": 5}).json()["streams"][0]
            assert (entry["end"], entry["disconnect"]["tokens_before"]) == ("disconnected", 0)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")


def test_a_planted_link_does_not_lead_the_ca_into_another_file(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "ca.pem"
    victim.write_text("precious")
    link.symlink_to(victim)
    Listening(tls="self-signed", tls_ca=str(link)).prepare("127.0.0.1")
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert link.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "victim"]


def test_the_ca_without_a_chosen_place_has_a_name_of_its_own_and_goes_with_the_server() -> None:
    first, second = Listening(tls="self-signed"), Listening(tls="self-signed")
    with MockServer(MockConfig(listening=first)), MockServer(MockConfig(listening=second)):
        paths = [first.ca_path, second.ca_path]
        assert all(path is not None and path.is_file() and not path.is_symlink() for path in paths)
        assert paths[0] != paths[1]
    assert not any(path is not None and path.exists() for path in paths)


def test_no_ca_is_left_when_the_port_is_taken() -> None:
    with MockServer() as taken:
        listening = Listening(tls="self-signed")
        port = httpx.URL(taken.url).port or 0
        with pytest.raises(OSError, match="in use"):
            MockServer(MockConfig(port=port, listening=listening)).start()
    assert listening.ca_path is not None
    assert not listening.ca_path.exists()


def test_tls_keeps_one_record_for_each_event(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    with MockServer(MockConfig(listening=Listening(tls="self-signed", tls_ca=str(ca)))) as server:
        context = ssl.create_default_context(cafile=str(ca))
        with context.wrap_socket(connect(server.url), server_hostname="127.0.0.1") as client:
            client.sendall(request_bytes("raw-text", "[[mock tokens=3 ttft=0 itl=20ms]]"))
            pieces = []
            while piece := client.recv(65_536):
                pieces.append(piece)
    assert len(pieces) == 5  # head, three tokens, last chunk
    assert parse(b"".join(pieces), "fin").whole


def test_tls_files_and_their_mistakes(tmp_path: Path) -> None:
    missing = Listening(tls_cert=str(tmp_path / "no.pem"), tls_key=str(tmp_path / "no.key"))
    with pytest.raises(ValueError, match="No such file"):
        MockServer(MockConfig(listening=missing)).start()
    for wrong in ({"tls": "yes"}, {"tls_cert": "a"}, {"tls_ca": "a"}, {"drain": "maybe"}, {"idle_timeout": "x"}):
        with pytest.raises(ValueError, match=r"expected|belong|written"):
            Listening(**wrong)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "mock.sock"
    with (
        MockServer(MockConfig(tokens=2, ttft="0", itl="0", listening=Listening(uds=str(path)))) as server,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://mock") as client,
    ):
        assert server.url == f"unix:{path}"
        assert client.get("/stream", params={"message": "[[mock id=u]]"}).text.count("data: ") == 2
        assert client.get("/_mock/streams/u").json()["streams"][0]["end"] == "complete"
    assert not path.exists()


# Draining


@pytest.mark.parametrize(("drain", "whole"), [("finish", True), ("10s", True), ("50ms", False), ("cut", False)])
def test_drain(drain: str, *, whole: bool) -> None:
    with command("--drain", drain) as (process, url), connect(url) as client, connect(url) as idle:
        client.sendall(request_bytes("raw-text", "[[mock tokens=10 ttft=0 itl=40ms]]", headers=()))
        data = read_until(client, b"data: ")
        process.send_signal(signal.SIGTERM)
        if whole:
            assert read_to_end(idle) == (b"", "fin")  # closed at once, while the stream goes on
            with pytest.raises(ConnectionRefusedError):
                connect(url)
        raw, end = read_to_end(client, data)
        process.wait(5)
        assert process.returncode == 0
    assert parse(raw, end).whole is whole


def test_a_second_signal_cuts_the_draining_short() -> None:
    with command("--drain", "finish") as (process, url), connect(url) as client:
        client.sendall(request_bytes("raw-text", "[[mock script=endless ttft=0 itl=10ms]]"))
        read_until(client, b"data: ")
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


# Workers


def test_workers_are_one_ledger() -> None:
    with command("--workers", "3", "--ttft", "0", "--itl", "0", "--tokens", "4") as (process, url):
        for n in range(24):
            assert exchange(url, request_bytes("raw-text", f"[[mock id=w{n}]]")).whole
        summary = HTTP.get(f"{url}/_mock/summary").json()
        assert (summary["seen"], summary["complete"], summary["tokens_written"]) == (24, 24, 96)
        listed = HTTP.get(f"{url}/_mock/streams").json()["streams"]
        assert [entry["id"] for entry in listed] == [f"w{n}" for n in range(24)]
        assert [entry["seq"] for entry in listed] == list(range(1, 25))
        assert len(HTTP.get(f"{url}/_mock/streams?limit=5").json()["streams"]) == 5
        exported = [json.loads(line) for line in HTTP.get(f"{url}/_mock/export?since=4").text.splitlines()]
        assert sorted(entry["seq"] for entry in exported) == list(range(5, 25))
        for n in range(24):
            answer = HTTP.get(f"{url}/_mock/streams/w{n}", params={"wait": 5}).json()
            assert (answer["count"], answer["streams"][0]["end"]) == (1, "complete")
        # A release reaches whichever worker has the stream.
        for n in range(6):
            with connect(url) as client:
                client.sendall(request_bytes("raw-text", f"[[mock id=lock{n} script=lockstep tokens=2]]"))
                head = read_until(client, b"\r\n\r\n")
                released = HTTP.post(f"{url}/_mock/streams/lock{n}/release?upto=9", json={}).json()
                assert released == {"released": 9, "known": True}
                assert parse(*read_to_end(client, head)).whole
        assert HTTP.get(f"{url}/_mock/streams/nobody").status_code == 404
        assert HTTP.get(f"{url}/_mock/streams/nobody?wait=0.05").status_code == 404
        assert HTTP.post(f"{url}/_mock/reset", json={}).json()["reset"] is True
        assert HTTP.get(f"{url}/_mock/summary").json()["streams"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_a_wait_ends_with_the_stream_on_whatever_worker() -> None:
    with command("--workers", "2", "--itl", "20ms", "--tokens", "10") as (_, url):
        for n in range(4):
            with connect(url) as client:
                client.sendall(request_bytes("raw-text", f"[[mock id=a{n}]]"))
                before = time.monotonic()
                answer = HTTP.get(f"{url}/_mock/streams/a{n}", params={"wait": 20}, timeout=15).json()
                assert answer["streams"][0]["end"] == "complete"
                assert time.monotonic() - before < 10


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_worker_that_dies_ends_the_server() -> None:
    with command("--workers", "2") as (process, url):
        assert HTTP.get(f"{url}/health").status_code == 200
        os.kill(children(process)[0], signal.SIGKILL)
        assert process.wait(5) == 1


def test_workers_end_with_a_parent_that_is_killed() -> None:
    with command("--workers", "2") as (process, _):
        workers = children(process)
        process.kill()
        wait_for(lambda: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in workers))


def test_one_ctrl_c_for_the_whole_terminal_does_not_cut_the_draining() -> None:
    with command("--workers", "2", "--drain", "finish", "--itl", "50ms", "--tokens", "10") as (process, url):
        with connect(url) as client:
            client.sendall(request_bytes("raw-text", "hello"))
            head = read_until(client, b"data: ")
            for pid in (*children(process), process.pid):
                os.kill(pid, signal.SIGINT)
            assert parse(*read_to_end(client, head)).whole
        assert process.wait(5) == 0


def test_workers_do_not_share_the_port_of_another_server() -> None:
    with command("--workers", "2") as (_, url):
        port = url.rpartition(":")[2]
        line = [sys.executable, "-m", "streamgauge.mock_provider", "--workers", "2", "--port", port]
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "can't listen" in done.stderr


def test_ids_of_the_mocks_own_differ_between_workers() -> None:
    with command("--workers", "3", "--ttft", "0", "--tokens", "1") as (_, url):
        for _ in range(9):
            assert exchange(url, request_bytes("raw-text", "hello")).whole
        listed = HTTP.get(f"{url}/_mock/streams").json()["streams"]
        assert [entry["id"] for entry in listed] == [f"stream-{n}" for n in range(1, 10)]


def test_a_wait_is_for_the_newest_stream_of_an_id_on_whatever_worker() -> None:
    with command("--workers", "2", "--ttft", "0", "--itl", "0", "--tokens", "2") as (_, url):
        for n in range(6):
            assert exchange(url, request_bytes("raw-text", f"[[mock id=r{n}]]")).whole
            with connect(url) as client:
                client.sendall(request_bytes("raw-text", f"[[mock id=r{n} script=silent]]"))
                read_until(client, b"\r\n\r\n")
                before = time.monotonic()
                answer = HTTP.get(f"{url}/_mock/streams/r{n}", params={"wait": 0.3}).json()
                assert [entry["end"] for entry in answer["streams"]] == ["complete", None]
                assert time.monotonic() - before >= 0.3


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][:1]


def test_the_answer_of_some_workers_is_not_given_for_that_of_all() -> None:
    with command("--workers", "2") as (process, url):
        first, second = children(process)
        os.kill(process.pid, signal.SIGSTOP)  # it would end the other
        try:
            # A stop is only pending until the process runs again: it could still reap the worker.
            wait_for(lambda: state_of(process.pid) == "T")
            os.kill(first, signal.SIGKILL)
            # Its last thread closes its listening socket. Until then the kernel may give it a connection and reset it.
            # The main thread can be a zombie before the others have ended, so that alone is not enough.
            wait_for(lambda: state_of(first) == "Z" and len(list(Path(f"/proc/{first}/task").iterdir())) == 1)
            for path in ("summary", "streams/x", "streams/x?wait=0.1"):
                assert HTTP.get(f"{url}/_mock/{path}").status_code == 503
            # An abort: the client sees a body without its end, or the RST before it.
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                HTTP.get(f"{url}/_mock/export")
        finally:
            os.kill(second, signal.SIGTERM)
            os.kill(process.pid, signal.SIGCONT)


# Timeouts and bounds


def test_unfinished_requests_and_idle_connections_are_given_up() -> None:
    listening = Listening(request_timeout="200ms", idle_timeout="300ms")
    with MockServer(MockConfig(itl="100ms", tokens=8, listening=listening)) as server:
        with connect(server.url) as slow, connect(server.url) as idle, connect(server.url) as streaming:
            slow.sendall(b"POST /plain HTTP/1.1\r\nHost: m\r\nContent-Len")
            streaming.sendall(request_bytes("raw-text", "hi"))
            raw, end = read_to_end(slow)
            assert (raw.split(b" ")[1], end) == (b"408", "fin")
            assert read_to_end(idle) == (b"", "fin")
            assert parse(*read_to_end(streaming)).whole  # a stream is neither
        wait_for(lambda: not server.server.connections)


def test_a_peer_that_never_takes_the_end_is_cut() -> None:
    with MockServer(MockConfig(listening=Listening(idle_timeout="200ms"))) as server:
        for n in range(300):
            exchange(server.url, request_bytes("raw-text", f"[[mock id=x{n} tokens=50 ttft=0 itl=0]]"))
        with connect(server.url) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            for _ in range(12):
                client.sendall(b"GET /_mock/streams/x1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.sendall(
                b"GET /_mock/streams?limit=10000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" * 2
            )
            wait_for(lambda: not server.server.connections)


def test_the_ledger_is_bounded_in_all() -> None:
    ledger = Ledger(1_000, budget=2_560)
    entries = [open_entry(ledger, f"e{n}") for n in range(20)]
    for entry in entries:
        for token in range(256):
            entry.wrote(1, 10, token)
    kept = ledger.newest(1_000, 0)
    assert [entry.id for entry in kept] == [f"e{n}" for n in range(10, 20)]
    assert sum(len(entry.writes_ns) for entry in kept) == 2_560
    # What is forgotten gets no more room, and neither does one that alone fills the budget.
    entries[0].wrote(1, 10, 256)
    assert (len(entries[0].writes_ns), entries[0].writes_dropped) == (256, 1)
    for token in range(10_000):
        entries[-1].wrote(1, 10, token)
    assert len(ledger.newest(1_000, 0)) == 1
    assert (len(entries[-1].writes_ns), entries[-1].writes_dropped) == (2_560, 10_256 - 2_560)


def test_one_stream_is_bounded() -> None:
    entry = open_entry(Ledger(1))
    for token in range(WRITES_LIMIT + 5):
        entry.wrote(token, 1 << 20, token)
    assert (len(entry.writes_ns), entry.writes_dropped) == (WRITES_LIMIT, 5)
    pieces = list(entry.pieces())
    assert max(map(len, pieces)) < 100_000  # none takes long to make
    writes = json.loads("".join(pieces))["writes"]
    assert writes["t_ns"] == list(range(WRITES_LIMIT))
    assert {len(writes[name]) for name in ("bytes", "token")} == {WRITES_LIMIT}
    assert (writes["bytes"][-1], writes["token"][-1], writes["dropped"]) == (1 << 20, WRITES_LIMIT - 1, 5)


def test_a_path_is_bounded() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0")) as server:
        body = {"contents": [{"parts": [{"text": "[[mock id=long-path]]"}]}]}
        HTTP.post(f"{server.url}/v1beta/models/{'m' * 20_000}:generateContent", json=body).raise_for_status()
        entry = HTTP.get(f"{server.url}/_mock/streams/long-path").json()["streams"][0]
    assert len(entry["path"]) == PROMPT_LIMIT


# Export


def test_export_is_one_line_for_each_stream(mock: MockServer, control: httpx.Client) -> None:
    exchange(mock.url, request_bytes("raw-text", "[[mock id=exp-1 tokens=3]]"))
    exchange(mock.url, request_bytes("raw-text", "[[mock id=exp-2 tokens=2]]"))
    answer = control.get("/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert [entry["id"] for entry in entries[-2:]] == ["exp-1", "exp-2"]
    assert entries[-1] == control.get("/streams/exp-2").json()["streams"][-1]
    since = entries[-2]["seq"]
    assert [json.loads(line)["id"] for line in control.get(f"/export?since={since}").text.splitlines()] == ["exp-2"]
    assert control.get("/export?since=x").status_code == 400
    assert control.post("/export").status_code == 405
    with connect(mock.url) as client:
        client.sendall(f"GET /_mock/export?since={since} HTTP/1.0\r\n\r\n".encode())
        raw, _ = read_to_end(client)
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["id"] == "exp-2"


def test_an_export_waits_for_its_reader() -> None:
    with MockServer(MockConfig(tokens=2_000, ttft="0", itl="0", ledger_size=300)) as server:
        for _ in range(100):
            exchange(server.url, request_bytes("plain-text", "x"))
        with connect(server.url) as client:
            client.sendall(b"GET /_mock/export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = read_until(client, b"\r\n\r\n")
            time.sleep(0.3)
            # Streams go on meanwhile, and the transport holds no more than a line beyond what the kernel took.
            assert exchange(server.url, request_bytes("raw-text", "[[mock tokens=2]]")).whole
            assert all(
                connection._transport.get_write_buffer_size() < 1_000_000 for connection in server.server.connections
            )
            raw, _ = read_to_end(client, data)
        assert raw.count(b'"seq":') == 100


def test_a_short_siege() -> None:
    assert besiege(Siege(rate=100, seconds=2, seed=5, most_late_ms=100)) == []


def test_2000_idle_and_slow_connections_do_not_move_the_gaps_of_a_stream() -> None:
    def found() -> list[str]:
        # All of them exceed a timeout within the 3 s.
        return besiege(Siege(rate=1, seconds=3, seed=5, most_late_ms=5, connections=2_000))

    assert quietly(found, [], runs=3) == []
