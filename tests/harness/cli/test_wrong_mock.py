"""A `--mock` that is not the endpoint's upstream is said, and nothing passes: in every command that takes one."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from streamgauge.cli import app
from streamgauge.errors import CannotMeasure, ExitCode
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

CHAT = "/v1/chat/completions"
OWN_PROMPT = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "a prompt of its own"}]}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with MockServer(MockConfig(tokens=4, ttft="0", itl="0")) as server:
        yield server.url + CHAT


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with MockServer(MockConfig(tokens=4, ttft="0", itl="0")) as server:
        yield server.url


@pytest.fixture(scope="module")
def forgetful(mock: str) -> Iterator[str]:
    """A relay to the mock that sends a prompt of its own."""

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = httpx.post(mock + CHAT, json=OWN_PROMPT, trust_env=False)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{CHAT}"
        server.shutdown()


def words(command: str, url: str, mock: str, out: Path) -> list[str]:
    where = ["--via", url] if command == "diagnose" else [url]
    kept = ["--out", str(out)] if command == "load" else []
    only = ["--only", "cancel.*", "--only", "flush.lockstep"] if command == "check" else []
    return [command, *where, "--mock", mock, *kept, *only]


COMMANDS = ["check", "load", "cancel", "diagnose", "probe", "clients"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mock_that_saw_no_request_is_not_the_upstream(command: str, endpoint: str, mock: str, tmp_path: Path) -> None:
    error = CliRunner().invoke(app(*COMMANDS), words(command, endpoint, mock, tmp_path / "run")).exception
    assert isinstance(error, CannotMeasure)
    assert error.exit_code is ExitCode.CANNOT_MEASURE
    assert error.message == (f"the endpoint answered, but the mock at {mock} saw no request: it is not its upstream")
    assert "upstream base URL" in (error.hint or "")
    assert not (tmp_path / "run").exists(), "said before the load, not after it"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_prompt_that_does_not_reach_the_mock_is_told_apart(
    command: str, forgetful: str, mock: str, tmp_path: Path
) -> None:
    error = CliRunner().invoke(app(*COMMANDS), words(command, forgetful, mock, tmp_path / "run")).exception
    assert isinstance(error, CannotMeasure)
    assert f"the mock at {mock} saw 1 request, but none with the directive" in error.message
    assert "{{prompt}}" in (error.hint or "")


def test_probe_with_the_right_mock_shows_the_stream(mock: str) -> None:
    done = CliRunner().invoke(app("probe"), ["probe", mock + CHAT, "--mock", mock])
    assert (done.exit_code, done.exception) == (0, None)
    assert "in 4 events" in done.output
