"""The commands, as a person or a script runs them."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streamgauge.mock_provider.faults import FAULTS
from tests.builders.command import streamgauge
from tests.mock_provider.mock_wire import HTTP


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("mock provider", ["streamgauge.mock_provider"]),
        ("buffering proxy", ["streamgauge.mock_provider.proxy", "http://127.0.0.1:9"]),
    ],
)
def test_it_says_where_it_listens_and_ends_with_0(what: str, arguments: list[str], number: signal.Signals) -> None:
    command = [sys.executable, "-m", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        match = re.fullmatch(rf"{what} listening on (http://127\.0\.0\.1:\d+)\n", first)
        assert match
        assert HTTP.get(f"{match[1]}/health").status_code == (200 if what == "mock provider" else 502)
        process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    assert "Ctrl-C ends it." in rest


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["mock", "--ttft", "soon"], "ttft: expected a duration"),
        (["mock", "--fault", "gremlins"], "unknown fault 'gremlins'"),
        (["mock", "--tokens", "-1"], "tokens: expected 0 or more"),
        (["mock", "--text", "klingon"], "text: expected one of"),
        (["mock", "--port", "70000"], "port: expected"),
        (["mock", "--on-disconnect", "ask"], "on-disconnect"),
        (["mock", "--replicas", "2", "--speed", "1,2,3"], "speed: expected one number, or one for each of 2 replicas"),
        (["mock", "--gauge-lie", "white", "--engine", "vllm"], "gauge-lie: expected one of stale"),
        (["mock", "--workers", "2", "--replicas", "2"], "workers: expected 1 with the options of a fleet"),
        (["proxy", "nowhere"], "expected an http:// URL"),
        (["proxy", "http://user:password@localhost/"], "without user info"),
        (
            ["proxy", "http://127.0.0.1:9", "--hold-bytes", "0"],
            "hold-bytes: expected 1 or more",
        ),
    ],
)
def test_a_bad_flag_is_one_message_and_exit_2(arguments: list[str], named: str) -> None:
    done = streamgauge(*arguments)
    assert done.returncode == 2
    assert named in done.stderr


def test_a_port_in_use_is_one_message_and_exit_3() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "streamgauge.mock_provider", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 3
    assert "can't listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_cannot_be_is_one_message_and_exit_3(tmp_path: Path) -> None:
    done = streamgauge("mock", "--uds", str(tmp_path / "nowhere" / "x.sock"))
    assert done.returncode == 3
    assert "choose another --uds" in done.stderr
    assert "--port" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="counts /proc/self/fd")
def test_a_server_that_cannot_listen_keeps_no_descriptor() -> None:
    """In a process of its own: what threads of other tests open meanwhile would count."""
    code = """
import gc, os, socket
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    for _ in range(3):
        try:
            MockServer(MockConfig(port=taken.getsockname()[1])).start()
        except OSError as error:
            said = str(error)
        gc.collect()  # with the error goes what it held
        print(len(os.listdir("/proc/self/fd")), said)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    _first, *others = lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "in use" in lines[0]
    assert others[0] == others[1]


def test_list_faults_names_them_all() -> None:
    done = streamgauge("mock", "--list-faults")
    assert done.returncode == 0
    assert all(name in done.stdout for name in FAULTS)
