"""What a path or a limit of this machine leads to is one message, before anything is asked or after it is measured."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from streamgauge import cli
from tests.builders.command import streamgauge
from tests.reports.report_builders import full_run

NOWHERE = "http://127.0.0.1:9/v1/chat/completions"
# Every option that takes a file to read, with what it needs beside it.
READERS = {
    "--target": ("probe",),
    "--targets": ("check",),
    "--body": ("probe", NOWHERE),
    "--ca": ("probe", NOWHERE),
    "--cert": ("probe", NOWHERE),
    "--schema": ("check", NOWHERE),
    "--baseline": ("check", NOWHERE),
    "--expected-failures": ("check", NOWHERE),
    "--prompt-file": ("load", NOWHERE),
    "--replay": ("load", NOWHERE, "--duration", "1s"),
    "--calibration": ("load", NOWHERE),
    "--file": ("clients",),
}


@pytest.mark.parametrize("option", READERS)
@pytest.mark.parametrize("kind", ["directory", "device", "loop", "long"])
def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path, option: str, kind: str) -> None:
    path = {"directory": tmp_path, "device": Path("/dev/zero"), "loop": tmp_path / "loop"}.get(kind)
    (tmp_path / "loop").symlink_to("loop")

    done = streamgauge(*READERS[option], option, path or tmp_path / ("a" * 300))

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert any(word in done.stderr for word in ("cannot be read", "has no calibration.json")), done.stderr


WRITERS = {
    "load": (NOWHERE,),
    "cancel": (NOWHERE, "--mock", "http://127.0.0.1:9"),
    "diagnose": ("--via", NOWHERE),
    "calibrate": (),
    "demo": (),
}


@pytest.mark.parametrize("command", WRITERS)
def test_a_run_directory_that_cannot_be_one_is_known_before_anything_starts(tmp_path: Path, command: str) -> None:
    os.mkfifo(path := tmp_path / "\x1b[31mpipe")

    done = streamgauge(command, *WRITERS[command], "--out", path)

    assert done.returncode == 2
    assert "cannot write to" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "the name is not printed raw"


@pytest.mark.parametrize("name", ["streams.jsonl", "run.json", "checks.json"])
def test_a_report_of_a_directory_with_a_pipe_in_it_is_one_message(tmp_path: Path, name: str) -> None:
    directory = full_run(tmp_path / "run")
    (directory / name).unlink()
    os.mkfifo(directory / name)

    done = streamgauge("report", directory)

    assert done.returncode == 2
    assert f"{name} cannot be read: it is a pipe, not a regular file" in done.stderr


def test_a_run_directory_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    directory = full_run(tmp_path / "run")
    text = (directory / "run.json").read_text()
    (directory / "run.json").write_text(text.replace('"schema": 1', '"schema": 2').replace("0.1.0", "9.9.9"))

    done = streamgauge("report", directory)

    assert done.returncode == 2
    assert "run.json has schema 2" in done.stderr
    assert not (directory / "report.html").exists()


@pytest.mark.parametrize("place", [["check", NOWHERE, "--via"], ["diagnose", "--via"], ["probe", NOWHERE, "--mock"]])
@pytest.mark.parametrize("url", ["http://xn--zzzzzz/", "http://xn--/", "http://[::1"])
def test_a_malformed_host_name_is_one_message(place: list[str], url: str) -> None:
    done = streamgauge(*place, url)

    assert done.returncode == 2
    assert "is not a URL that can be requested" in done.stderr or "--via takes" in done.stderr


def test_a_malformed_host_name_in_a_list_of_targets_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text('[[target]]\nurl = "http://[::1"\n')

    done = streamgauge("check", "--targets", tmp_path / "targets.toml")

    assert done.returncode == 2
    assert "'http://[::1' is not a URL that can be requested" in done.stderr


def limited(*words: str | Path, memory: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streamgauge", *words], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
    )  # fmt: skip


def test_a_report_that_does_not_fit_into_memory_is_one_message(tmp_path: Path) -> None:
    """Without this, OpenBLAS ends the process, or numpy breaks off in the middle of its import."""
    directory = full_run(tmp_path / "run")

    done = limited("report", directory, memory=400 * 1024 * 1024)

    assert done.returncode == 3
    assert "the reports need about 640 MiB of memory, and this process may take only" in done.stderr
    assert f"`streamgauge report {directory}` writes the reports" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (MemoryError(), "this process has no memory left"),
        (OSError(24, "Too many open files", "/etc/x"), "/etc/x: Too many open files"),
        (OSError("odd"), "odd"),
    ],
)
def test_a_limit_of_the_machine_is_one_message_wherever_it_is_met(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, shown: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", lambda *_: fail)

    with pytest.raises(SystemExit) as ended:
        cli.main(["probe"])

    assert ended.value.code == 3
    assert f"error: {shown}" in capsys.readouterr().err
