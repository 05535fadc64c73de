"""A machine without 127.0.0.1: what starts processes of its own lets them meet on ::1."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_IPV4 = (
    "unshare",
    "--net",
    "sh",
    "-c",
    'ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec "$@"',
    "sh",
)
LOAD = """
from streamgauge import load
from streamgauge.cli.children import child

with child("mock", "--ttft", "5ms", "--itl", "1ms", "--tokens", "5") as mock:
    result = load(mock + "/v1/chat/completions", users=2, duration="2s", processes=2, directory="run")
    print(mock, result.summary.streams["ok"] > 0, len(result.run.workers))
"""


def is_possible() -> bool:
    try:
        return subprocess.run([*WITHOUT_IPV4, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not is_possible(), reason="needs the rights to make a network namespace, and the program ip")
def test_a_load_of_two_processes_against_a_mock_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [*WITHOUT_IPV4, sys.executable, "-c", LOAD],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("http://[::1]:"), done.stderr
    assert done.stdout.split()[1:] == ["True", "2"]
