"""An endpoint that means harm: every command ends by itself, within bounds, and shows nothing as it came."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.cli import main
from harness.foreign import ACTIVE
from harness.wire import MAX_KEPT_BYTES
from tests.harness.hostile_server import ANSWERS, ODD, HostileServer

# What the kernel's buffers on both sides may hold beyond what was read.
IN_FLIGHT = 32 * 1024 * 1024
RAW = re.compile(r"<script>alert|<img src=x")


class Ended(NamedTuple):
    code: int
    shown: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as the shell would run it, in this process. Whatever is no exit is a traceback, and fails."""

    def go(*arguments: str | Path) -> Ended:
        monkeypatch.setattr("sys.argv", ["streamgauge", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out + captured.err)

    return go


def harmless(text: str) -> None:
    """No control character, no direction, nothing invisible: whatever the endpoint put there."""
    found = ACTIVE.search(text.replace("\n", "").replace("\t", ""))
    assert found is None, f"{found[0]!r} in {text[max(0, found.start() - 80) : found.start() + 20]!r}"


@pytest.mark.parametrize("name", ANSWERS)
def test_probe_is_bounded_and_shows_nothing_raw(server: HostileServer, run: Run, name: str) -> None:
    done = run("probe", server.url(name), "--show-wire", "--timeout", "5s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert server.most_sent(name) <= MAX_KEPT_BYTES + IN_FLIGHT


@pytest.mark.parametrize("name", ["an event", "trailers"])
def test_check_is_bounded(server: HostileServer, run: Run, name: str) -> None:
    done = run("check", server.url(name), "--only", "framing.known-fields", "--timeout", "5s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert server.most_sent(name) <= MAX_KEPT_BYTES + IN_FLIGHT


@pytest.mark.parametrize("name", ODD)
def test_check_shows_nothing_raw(server: HostileServer, run: Run, tmp_path: Path, name: str) -> None:
    """Every check, every output."""
    files = {kind: tmp_path / f"checks.{kind}" for kind in ("json", "junit")}
    written = [part for kind, path in files.items() for part in (f"--{kind}", path)]

    done = run("check", server.url(name), "--verbose", "--timeout", "2s", "--out", tmp_path, *written)

    assert done.code in (0, 1, 3)
    harmless(done.shown)
    assert "the check itself failed" not in done.shown
    if done.code == 3:
        return
    harmless(files["json"].read_text(encoding="utf-8"))
    harmless(json.dumps(json.loads(files["json"].read_text(encoding="utf-8")), ensure_ascii=False))
    harmless(files["junit"].read_text(encoding="utf-8"))
    ET.parse(files["junit"])
    assert run("report", tmp_path).code == 0
    for page in ("report.html", "report.md", "junit.xml"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        harmless(text)
        assert page != "report.html" or not RAW.search(text)


@pytest.mark.parametrize("name", ["trailers", "texts", "an error", "a reason", "deep JSON", "surrogates"])
def test_diagnose(server: HostileServer, run: Run, name: str) -> None:
    done = run("diagnose", "--via", server.url(name), "--timeout", "2s")

    assert done.code in (0, 1, 3)
    harmless(done.shown)
