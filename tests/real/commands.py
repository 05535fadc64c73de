"""Runs the commands of Streamgauge as a user does, and reads what they write."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_LONGEST_S = 1_800


class NothingWritten(Exception):  # noqa: N818 - it is a difference, not an error of this script
    """A command has ended without its file."""


def streamgauge(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streamgauge", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)


def document(file: Path, done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The JSON that a command wrote. Raises NothingWritten, with its output, when there is none."""
    if not file.exists():
        raise NothingWritten(f"{' '.join(done.args)} wrote no {file.name}:\n{done.stdout}{done.stderr}")
    return dict(json.loads(file.read_text()))


def checks(folder: Path, url: str, *options: str) -> dict[str, Any]:
    """The results of `check`. Raises NothingWritten when it could not measure."""
    done = streamgauge("check", url, *options, "--json", str(folder / "check.json"))
    results = document(folder / "check.json", done)["targets"][0]["checks"]
    if results is None:
        raise NothingWritten(f"check could not measure it:\n{done.stdout}{done.stderr}")
    return dict(results)
