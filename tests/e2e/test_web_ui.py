"""Locust's web UI beside a scenario: who may use it, and what it may change."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import free_port

FORM = {"user_count": "1", "spawn_rate": "1", "host": "http://127.0.0.1:9"}
_LISTENS = "0A"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a web UI that was started with Locust's defaults."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "locust", "-f", "scenarios/chat.py", "--host", FORM["host"], "--web-port", str(port),
            "--run-dir", str(tmp_path_factory.mktemp("ui") / "run"),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_listening(port)
        yield port
    finally:
        process.kill()
        process.wait()


def listening(port: int) -> list[str]:
    """The addresses that listen on this port, in the hexadecimal form of /proc/net."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return [line[1].split(":")[0] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == _LISTENS]


def until_listening(port: int) -> None:
    for _ in range(600):
        if listening(port):
            return
        time.sleep(0.05)
    raise AssertionError("Locust never listened")


def test_the_web_ui_listens_on_loopback_unless_told_otherwise(port: int) -> None:
    assert listening(port) == ["0100007F"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example:8089"}, 403),
    ],
)
def test_a_page_of_another_site_starts_no_load(port: int, headers: dict[str, str], status: int) -> None:
    assert httpx.post(f"http://127.0.0.1:{port}/swarm", data=FORM, headers=headers).status_code == status
    assert httpx.get(f"http://127.0.0.1:{port}/stats/requests").json()["state"] == "ready"


@pytest.mark.parametrize("option", ["run_dir", "html_file", "csv_prefix", "logfile", "json_file", "master_bind_host"])
def test_no_page_says_where_files_are_written(port: int, option: str, tmp_path: Path) -> None:
    answer = httpx.post(f"http://127.0.0.1:{port}/swarm", data=FORM | {option: str(tmp_path / "any" / "where")})
    assert answer.status_code == 400
    assert option in answer.text
    assert httpx.get(f"http://127.0.0.1:{port}/stats/requests").json()["state"] == "ready"


def test_its_own_page_is_answered(port: int) -> None:
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    page = httpx.get(
        f"http://localhost:{port}/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    )
    assert page.status_code == 200
    assert "run_dir" not in page.text
    assert httpx.post(f"http://127.0.0.1:{port}/stats/reset", headers=own).status_code == 200
