"""Real servers for the end-to-end tests: the mock provider in a thread, nginx from Debian as a child process."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.command import streamgauge as run_in_this_process

CHAT = "/v1/chat/completions"
TOKEN = "shared-by-the-master-and-its-workers"
Start = Callable[..., "subprocess.Popen[str]"]

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

_NGINX_CONF = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_buffer_size 2m; client_max_body_size 2m;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; {extra} }} }}
}}
"""

RECOMMENDED = "proxy_buffering off; proxy_http_version 1.1; proxy_read_timeout 3600s;"
USUAL = ""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def mock() -> Iterator[str]:
    """The address of a mock provider with its defaults."""
    with MockServer(MockConfig(tokens=20, ttft="20ms", itl="2ms")) as server:
        yield server.url


@pytest.fixture(scope="session")
def nginx(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Starts a real nginx in front of the mock with the given lines in its location block; gives its address."""
    if NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    started: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def start(extra: str) -> str:
        if extra not in started:
            directory = tmp_path_factory.mktemp("nginx")
            port = free_port()
            conf = directory / "nginx.conf"
            conf.write_text(_NGINX_CONF.format(dir=directory, port=port, upstream=mock, extra=extra))
            assert NGINX is not None
            process = subprocess.Popen([NGINX, "-e", str(directory / "early.log"), "-c", str(conf)])
            _wait_for(port, process)
            started[extra] = f"http://127.0.0.1:{port}", process
        return started[extra][0]

    yield start
    for _, process in started.values():
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        assert process.poll() is None, "the server ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture
def streamgauge() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs the command as the shell would; no run may end in a traceback."""
    return run_in_this_process


def command(*arguments: str | Path) -> list[str]:
    """The command line that runs streamgauge with this interpreter."""
    return [sys.executable, "-c", "from streamgauge.cli import main; main()", *map(str, arguments)]


@pytest.fixture
def paced() -> Iterator[str]:
    """A mock of its own for each test, so that its ledger holds this run alone: a stream takes 250 ms."""
    with MockServer(MockConfig(tokens=20, ttft="60ms", itl="10ms")) as server:
        yield server.url


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command with the token of a load on several machines, and leaves no process of it behind."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, without: str | None = None, **environment: str) -> "subprocess.Popen[str]":
        complete = {**os.environ, TOKEN_ENV: TOKEN, **environment}
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True, env={name: value for name, value in complete.items() if name != without},
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
