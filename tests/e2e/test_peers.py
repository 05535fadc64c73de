"""A peer without the token, on the port of a master or in place of one: it gets nothing, and changes nothing.

The rogue speaks Locust's protocol by hand, over ZeroMQ with each of its mechanisms and over bare TCP.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from zmq.utils import z85

from streamgauge.endpoint.target import Target
from streamgauge.loadgen.job import job
from streamgauge.loadgen.peer_token import TOKEN_ENV, master_key
from streamgauge.loadgen.prompts import PromptPlan
from streamgauge.loadgen.workload import Workload
from streamgauge.rundir.runs import RecordReader
from streamgauge.version import __version__
from tests.builders.ended import ended_well
from tests.e2e.conftest import CHAT, TOKEN, Start, free_port

GREETING_3 = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00"
CURVE_GREETING = GREETING_3 + b"CURVE".ljust(20, b"\0") + b"\0" * 32
# Peers of the older protocols have no mechanism to authenticate with.
RAW = {
    "ZMTP 1.0": b"\x06\x00rogue" + b"\x00\x05hello",
    "ZMTP 2.0": b"\xff" + b"\0" * 8 + b"\x7f\x01\x05" + b"\x00\x05rogue" + b"\x00\x05hello",
    "HTTP": b"GET / HTTP/1.1\r\nHost: master\r\n\r\n",
    "a message in place of the handshake": CURVE_GREETING + b"\x00\x05hello",
    "READY in place of HELLO": CURVE_GREETING + b"\x04\x06\x05READY",
    "a HELLO for another key": CURVE_GREETING + b"\x04\xc8\x05HELLO\x01\x00" + b"\0" * 192,
    "a command of 1 MiB": CURVE_GREETING + b"\x06" + (1 << 20).to_bytes(8, "big"),
    "a command of 4 EiB": CURVE_GREETING + b"\x06" + (1 << 62).to_bytes(8, "big") + b"\0" * 100_000,
}


def no_mechanism(_: "zmq.Socket[bytes]") -> None:
    pass


def a_password(client: "zmq.Socket[bytes]") -> None:
    client.plain_username, client.plain_password = b"rogue", b"rogue"


def another_key(client: "zmq.Socket[bytes]") -> None:
    client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
    client.curve_serverkey, _ = zmq.curve_keypair()


MECHANISMS = [no_mechanism, a_password, another_key]


@contextmanager
def rogue(port: str, mechanism: Callable[["zmq.Socket[bytes]"], None], name: str) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.identity = name.encode()
        mechanism(client)
        client.connect(f"tcp://127.0.0.1:{port}")
        yield client


def say_everything(client: "zmq.Socket[bytes]", name: str) -> None:
    """All that a worker may say to a master, and garbage."""
    report = {"host": "<b>rogue</b>", "started": 9, "sent_ns": 1, "first": 0, "count": 1, "data": b"x", "closed": False}
    users = {"user_classes_count": {"ChatUser": 5}, "user_count": 5}
    messages: list[tuple[Any, ...]] = [
        ("streamgauge_job", None, name),
        ("streamgauge_report", report, name),
        ("client_ready", -1, name),
        ("locustfile", {"version": "2.47.0"}, name),
        ("spawning", None, name),
        ("spawning_complete", users, name),
        ("heartbeat", {"state": "running", "current_cpu_usage": 1.0}, name),
        ("stats", {"stats": [{"name": "rogue"}], "stats_total": {}, "errors": {}, **users}, name),
        ("exception", {"msg": "rogue", "traceback": "rogue"}, name),
        ("logs", {"worker_id": name, "logs": ["rogue"]}, name),
        ("client_stopped", None, name),
        ("quit", None, name),
        (None, None, None),
        ("stats", None),
    ]
    for message in messages:
        client.send(msgpack.dumps(message))
    for garbage in (b"", b"\xc1", b"\xff" * 1000, b"\xdd\xff\xff\xff\xff"):
        client.send(garbage)


def until_open(port: str) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the master never listened")


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end closes the connection within ten seconds, whatever it says before."""
    connection.settimeout(10)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def attack(port: str) -> None:
    """Say everything in every way. Nothing may come back."""
    for mechanism in MECHANISMS:
        for number in range(2):
            name = f"rogue-{number}"
            with rogue(port, mechanism, name) as client:
                say_everything(client, name)
                assert not client.poll(200), (mechanism.__name__, client.recv())
    for what, data in RAW.items():
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            with suppress(ConnectionError):
                connection.sendall(data)
            assert is_closed(connection), what


def test_a_peer_without_the_token_gets_nothing_and_changes_nothing(start: Start, paced: str, tmp_path: Path) -> None:
    port = str(free_port())
    load = start(
        "load", paced + CHAT, "--users", "2", "--duration", "3s", "--out", tmp_path, "--master", "--port", port
    )
    until_open(port)
    with socket.create_connection(("127.0.0.1", int(port))) as silent:
        attack(port)
        assert is_closed(silent)

    worker = start("load", "--worker", f"127.0.0.1:{port}")
    out, err = load.communicate(timeout=60)
    run = json.loads((tmp_path / "run.json").read_text())
    assert ended_well(load.returncode, err), err
    assert worker.wait(30) == 0
    assert run["caveats"] == []
    [account] = run["workers"]
    assert account["started"] == account["recorded"] == len(list(RecordReader(tmp_path))) > 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"rogue" not in written + out.encode() + err.encode()


@pytest.mark.parametrize("mechanism", [no_mechanism, another_key], ids=["no mechanism", "another token"])
def test_a_worker_tells_nothing_to_a_master_without_its_token(
    start: Start, mechanism: Callable[["zmq.Socket[bytes]"], None]
) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as master:
        master.linger = 0
        mechanism(master)
        master.curve_server = mechanism is another_key
        port = master.bind_to_random_port("tcp://127.0.0.1")
        worker = start("load", "--worker", f"127.0.0.1:{port}", "--api-key-env", "OUR_KEY", OUR_KEY="sk-of-the-worker")
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 2
        assert "no master with this worker's token listens there" in " ".join(err.split())
        assert not master.poll(0), master.recv_multipart()


def test_a_worker_opens_no_path_of_its_master_and_sends_none_of_its_files(start: Start, tmp_path: Path) -> None:
    own = tmp_path / "prompts.txt"
    own.write_text("a secret of the worker's machine\n")
    settings = job(
        Target(url="http://127.0.0.1:9/chat"), Workload(length_ns=1, replay=str(own)), PromptPlan(file=str(own))
    )
    hostile = {"STREAMGAUGE_SHIP": "", "PATH": "/master", "STREAMGAUGE_SCENARIOS": "chat"}
    with zmq.Context() as context, context.socket(zmq.ROUTER) as master:
        master.linger = 0
        master.curve_server = True
        master.curve_secretkey = z85.encode(master_key(TOKEN))
        port = master.bind_to_random_port("tcp://127.0.0.1")
        worker = start("load", "--worker", f"127.0.0.1:{port}")
        kind = ""
        while kind != "client_ready":
            assert master.poll(60_000), kind
            name, message = master.recv_multipart()
            kind, question, _ = msgpack.loads(message)
            answer: dict[str, Any] = {"index": 0}
            if kind == "streamgauge_job":
                answer = {"version": __version__, "settings": settings | hostile}
            elif kind == "streamgauge_file":
                answer = question | {"data": b"" if question["offset"] else b"from the master\n"}
            master.send_multipart([name, msgpack.dumps((kind, answer, name.decode()))])
        of_locust = dict(
            line.partition("=")[::2] for line in Path(f"/proc/{worker.pid}/environ").read_text().split("\0")
        )
        copies = [
            path.read_text() for path in Path(f"/proc/{worker.pid}/fd").iterdir() if "(deleted)" in os.readlink(path)
        ]

    assert str(own) not in str(of_locust)
    assert of_locust["STREAMGAUGE_SHIP"] == "1"
    assert of_locust["PATH"] != "/master"
    assert copies == ["from the master\n"] * 2


def test_a_process_of_the_same_machine_cannot_join_a_load_of_several_processes(
    start: Start, paced: str, tmp_path: Path
) -> None:
    load = start(
        "load", paced + CHAT, "--users", "2", "--duration", "3s", "--processes", "2", "--out", tmp_path / "run",
        "--no-report",
    )  # fmt: skip
    port = master_port(tmp_path / "run")
    until_open(port)
    with rogue(port, no_mechanism, "rogue") as client:
        say_everything(client, "rogue")
        assert not client.poll(500), client.recv()
    _, err = load.communicate(timeout=60)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert ended_well(load.returncode, err), err
    assert run["caveats"] == []
    assert len(run["workers"]) == 2


def master_port(run: Path) -> str:
    """The port on which the processes of the load with this run directory meet."""
    for _ in range(600):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # the process has just ended
            if str(run) in words and "--master-port" in words:
                return words[words.index("--master-port") + 1]
        time.sleep(0.05)
    raise AssertionError("the load never started Locust")


def test_the_command_that_a_master_prints_makes_a_worker_of_it(start: Start, paced: str, tmp_path: Path) -> None:
    port = str(free_port())
    load = start(
        "load", paced + CHAT, "--users", "1", "--duration", "3s", "--out", tmp_path, "--master", "--port", port,
        "--no-report", without=TOKEN_ENV,
    )  # fmt: skip
    assert load.stderr is not None
    first = load.stderr.readline()
    assignment, program, *arguments = first[first.index(TOKEN_ENV) :].split()
    name, _, token = assignment.partition("=")
    assert program == "streamgauge"
    master_command_lines = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)
    ]
    assert token.encode() not in b"".join(master_command_lines)
    worker = start(*arguments, **{name: token})
    _, err = load.communicate(timeout=60)
    assert ended_well(load.returncode, err), err
    assert worker.wait(30) == 0


def test_a_worker_without_a_token_says_where_it_is(
    streamgauge: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    done = streamgauge("load", "--worker", "127.0.0.1:1")
    assert done.returncode == 2
    assert TOKEN_ENV in done.stderr
