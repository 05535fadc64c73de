"""What `load` does before there is a load: a mistake must not cost the run that is there."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamgauge.cli import app
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.rundir import runs

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0")) as server:
        yield server.url + CHAT


@pytest.fixture
def nowhere() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


def failing(*words: object) -> BaseException | None:
    return CliRunner().invoke(app("load", "probe"), ["load", *map(str, words)]).exception


def test_what_keeps_a_load_from_starting_leaves_the_earlier_run_alone(tmp_path: Path, mock: str, nowhere: str) -> None:
    for name in (runs.STREAMS, runs.RUN, "report.html"):
        (tmp_path / name).write_text("kept")
    assert isinstance(failing(mock, "--slo", "typo", "--out", tmp_path), UsageError)
    assert isinstance(failing(mock, "--abort-if", "typo", "--out", tmp_path), UsageError)
    assert isinstance(failing(mock, "--scenario", "no-such-file.py", "--out", tmp_path), UsageError)
    assert isinstance(failing(nowhere, "--out", tmp_path), CannotMeasure)
    assert isinstance(failing(mock, "--mock", nowhere, "--out", tmp_path), CannotMeasure), "asked before, not after"
    assert {path.read_text() for path in tmp_path.iterdir()} == {"kept"}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_load_that_cannot_start_makes_no_directory(tmp_path: Path, nowhere: str) -> None:
    assert isinstance(failing(nowhere, "--out", tmp_path / "new"), CannotMeasure)
    assert not (tmp_path / "new").exists()
