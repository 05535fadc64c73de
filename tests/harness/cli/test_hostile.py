"""An endpoint that means harm: every command ends by itself, within bounds, and shows nothing as it came."""

import json
import re
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from streamgauge.untrusted_text import UNSAFE_CHARACTERS
from streamgauge.wire import MAX_KEPT_BYTES
from tests.builders.command import streamgauge
from tests.builders.hostile_server import ANSWERS, ODD, HostileServer

# What the kernel's buffers on both sides may hold beyond what was read.
IN_FLIGHT = 32 * 1024 * 1024
RAW = re.compile(r"<script>alert|<img src=x")


class Ended(NamedTuple):
    code: int
    shown: str


def run(*arguments: str | Path) -> Ended:
    done = streamgauge(*arguments)
    return Ended(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


def harmless(text: str) -> None:
    """No control character, no direction, nothing invisible: whatever the endpoint put there."""
    found = UNSAFE_CHARACTERS.search(text.replace("\n", "").replace("\t", ""))
    assert found is None, f"{found[0]!r} in {text[max(0, found.start() - 80) : found.start() + 20]!r}"


def inert(path: Path) -> None:
    """No markup of the endpoint's in a page, nor in Markdown outside of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".md", ".markdown"):
        text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)
    if path.suffix in (".md", ".markdown", ".html"):
        assert not RAW.search(text)


@pytest.mark.parametrize("name", ANSWERS)
def test_probe_is_bounded_and_shows_nothing_raw(server: HostileServer, name: str) -> None:
    done = run("probe", server.url(name), "--show-wire", "--timeout", "5s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert server.most_sent(name) <= MAX_KEPT_BYTES + IN_FLIGHT


@pytest.mark.parametrize("name", ["an event", "trailers"])
def test_check_is_bounded(server: HostileServer, name: str) -> None:
    done = run("check", server.url(name), "--only", "framing.known-fields", "--timeout", "5s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert server.most_sent(name) <= MAX_KEPT_BYTES + IN_FLIGHT


@pytest.mark.parametrize("name", ODD)
def test_check_shows_nothing_raw(server: HostileServer, tmp_path: Path, name: str) -> None:
    """Every check, every output."""
    files = {kind: tmp_path / f"checks.{kind}" for kind in ("json", "junit", "sarif", "markdown", "html")}
    written = [part for kind, path in files.items() for part in (f"--{kind}", path)]

    done = run("check", server.url(name), "--verbose", "--timeout", "2s", "--out", tmp_path, *written)

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert "the check itself failed" not in done.shown
    if done.code == 3:
        return
    for kind, path in files.items():
        text = path.read_text(encoding="utf-8")
        harmless(text)
        if kind in ("json", "sarif"):
            harmless(json.dumps(json.loads(text), ensure_ascii=False))
        inert(path)
    ET.parse(files["junit"])
    assert run("report", tmp_path).code == 0
    for page in ("report.html", "report.md", "junit.xml"):
        harmless((tmp_path / page).read_text(encoding="utf-8"))
        inert(tmp_path / page)


@pytest.mark.parametrize("name", ["trailers", "texts", "an error", "a reason", "deep JSON", "surrogates"])
def test_diagnose(server: HostileServer, name: str) -> None:
    done = run("diagnose", "--via", server.url(name), "--timeout", "2s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)


CONTROLS = {
    "garbage": b"\x1b[31m<script>alert(1)</script>\x9b\xff",
    "deep": b"[" * 100_000,
    "other": b'{"realtime_ns": "\\u001b[31m"}',
    "huge": b'{"realtime_ns": ' + b"9" * 400 + b"}",
    "uneven": b'{"realtime_ns": 1, "streams": [{"seq": 1, "id": "x", "method": "GET", "path": "/", "arrival_ns": 1,'
    b' "writes": {"t_ns": [1, 2], "bytes": [], "token": [0]}}]}',
    "endless": None,
}


@pytest.fixture(params=CONTROLS)
def control(request: pytest.FixtureRequest) -> Iterator[str]:
    """A mock's control API that answers everything with one of these."""
    body = CONTROLS[request.param]

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
                connection.sendall(head + (body or b""))
                while body is None:
                    connection.sendall(b" " * 65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("command", ["check", "cancel", "diagnose"])
def test_a_mock_that_is_hostile_itself(server: HostileServer, control: str, command: str) -> None:
    """What its control API answers is as foreign as a stream."""
    url = server.url("chunks of chat")
    target = ["--via", url] if command == "diagnose" else [url]

    done = run(command, *target, "--mock", control, "--timeout", "2s", *(["--only", "cancel"] * (command == "check")))

    assert done.code == 3
    assert "control API" in done.shown
    harmless(done.shown)


_PROBES = """
import resource, sys
from tests.builders.command import streamgauge
for url in sys.argv[1:]:
    streamgauge("probe", url)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_is_bounded(server: HostileServer) -> None:
    """One process, after a small answer and after the worst: what they can add is a fixed amount."""
    names = ["chunks of chat", "an event", "a line", "empty events", "comments", "gzip members", "chunks"]

    done = subprocess.run(
        [sys.executable, "-c", _PROBES, *map(server.url, names)], capture_output=True, text=True, check=True
    )

    small_mb, *peaks_mb = map(int, done.stdout.split())
    assert len(peaks_mb) == len(names) - 1
    assert max(peaks_mb) - small_mb < 250, peaks_mb
