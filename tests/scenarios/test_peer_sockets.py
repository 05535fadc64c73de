"""The sockets between master and workers, against a peer that knows the token and misbehaves all the same.

In a process of its own: Locust patches the one that imports it. Peers without the token: tests/e2e/test_peers.py.
"""

import os
import subprocess
import sys

import pytest

from streamgauge.loadgen.job import SHIP_ENV
from streamgauge.loadgen.peer_token import TOKEN_ENV

PREAMBLE = """
import gevent, msgpack
from locust.exception import RPCReceiveError
from locust.rpc import zmqrpc
from locust.rpc.protocol import Message
from streamgauge.scenarios import peer_sockets

peer_sockets.secure()
master = zmqrpc.Server("127.0.0.1", 0)

def worker(name):
    port = int(master.socket.last_endpoint.decode().rpartition(":")[2])
    return zmqrpc.Client("127.0.0.1", port, name)

def heard(seconds=5.0):
    with gevent.Timeout(seconds, False):
        try:
            address, message = master.recv_from_client()
        except RPCReceiveError as error:
            return str(error)
        return address, message.type, message.data
"""


def run(program: str, token: str = "a token of both ends", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + program], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, TOKEN_ENV: token, **environment},
    )  # fmt: skip


def said(program: str, **environment: str) -> list[str]:
    done = run(program, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_message_with_the_token_arrives_and_is_answered() -> None:
    program = """
one = worker("one")
one.send(Message("stats", {"a": 1}, "one"))
print(heard())
master.send_to_client(Message("ack", None, "one"))
print(one.recv().type)
"""
    assert said(program) == ["('one', 'stats', {'a': 1})", "ack"]


def test_no_worker_speaks_in_the_name_of_another() -> None:
    program = """
one = worker("one")
one.send(Message("quit", None, "two"))
one.send(Message(None, None, "one"))
one.send(Message("stats", None, "one"))
print(heard())
"""
    assert said(program) == ["('one', 'stats', None)"]


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\xff" * 100, b"\xdd\xff\xff\xff\xff", b"\x91\x01", b"\x80"])
def test_bytes_that_are_no_message_do_not_end_the_master(garbage: bytes) -> None:
    program = f"""
one = worker("one")
one.socket.send({garbage!r})
one.send(Message("stats", None, "one"))
print(heard())
print(heard())
"""
    first, then = said(program)
    assert first.startswith(("not a message of Locust", "ZMQ interrupted"))
    assert then == "('one', 'stats', None)"


def test_a_master_has_room_for_a_bounded_number_of_peers() -> None:
    program = """
peer_sockets.MAX_PEERS = 3
peers = [worker(str(number)) for number in range(5)]
for number, each in enumerate(peers):
    each.send(Message("client_ready", None, str(number)))
    print(heard(2.0))
peers[0].send(Message("stats", None, "0"))
print(heard())
"""
    ready = [f"('{number}', 'client_ready', None)" for number in range(3)]
    assert said(program) == [*ready, "None", "None", "('0', 'stats', None)"]


def test_a_message_beyond_the_limit_ends_the_connection_and_not_the_memory() -> None:
    program = """
peer_sockets.MAX_MESSAGE_BYTES = 1000
master = zmqrpc.Server("127.0.0.1", 0)
one = worker("one")
one.send(Message("stats", "x" * 500, "one"))
print(len(heard()[2]))
one.send(Message("stats", "x" * 5000, "one"))
print(heard(2.0))
"""
    assert said(program) == ["500", "None"]


def test_a_token_that_can_be_guessed_is_not_used() -> None:
    done = run("", "hunter2")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{TOKEN_ENV}: the token has 7 characters")
    assert "hunter2" not in done.stderr


def test_without_a_token_locust_keeps_its_sockets() -> None:
    done = run("print(zmqrpc.Server is peer_sockets.MasterSocket)", "")
    assert done.stdout == "False\n", done.stderr


def test_a_master_of_remote_workers_keeps_nothing_that_grows_with_what_a_worker_says() -> None:
    program = """
one = worker("one")
users = {"user_classes_count": {"ChatUser": 2}}
tables = {"stats": [{"name": "x"}], "stats_total": {"response_times": {1: 1}}, "errors": {"e": {}}, "other": b"x"}
for message in [
    ("logs", {"worker_id": "x", "logs": []}),
    ("exception", {"msg": "x", "traceback": "x"}),
    ("locustfile", {"version": "2"}),
    ("heartbeat", None),
    ("heartbeat", {"state": 1}),
    ("client_ready", -1),
    ("client_ready", [1]),
    ("stats", None),
    ("stats", tables),
    ("spawning_complete", {}),
    ("anything", None),
    ("stats", tables | users),
    ("streamgauge_report", {"host": 1}),
]:
    one.send(Message(*message, "one"))
_, kind, data = heard()
times = dict(data["stats_total"]["response_times"])
print(kind, data["stats"], data["errors"], times, data["user_classes_count"], len(data))
print(heard())
"""
    assert said(program, **{SHIP_ENV: "1"}) == [
        "stats [] {} {} {'ChatUser': 2} 4",
        "('one', 'streamgauge_report', {'host': 1})",
    ]
