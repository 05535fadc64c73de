"""When something goes wrong under a load, nothing goes on loading the endpoint, and no stream is lost in silence."""

import errno
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from streamgauge.rundir import runs
from streamgauge.units import SECOND
from tests.builders.command import streamgauge
from tests.faults.running import CHAT, End, Shape, running, shim

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def must_be_honest(end: End, unseen: int = 0) -> None:
    """What holds after every fault. `unseen`: requests at most that were recorded, but that the server never saw."""
    assert "Traceback" not in end.output
    assert end.survivors == []
    assert -unseen <= end.unnamed <= 0, (end.started, end.recorded, end.lost)
    assert end.exit_code != 0, end.output
    assert end.verdict != "VALID"


@pytest.mark.parametrize("shape", [Shape.ONE, Shape.TWO])
def test_a_killed_locust_leaves_no_process_and_its_figures_are_those_of_the_time_it_lived(
    shape: Shape, tmp_path: Path
) -> None:
    with running(tmp_path, shape, seconds=30) as load:
        load.until_busy().locust.kill()
        end = load.end()

    must_be_honest(end)
    assert end.exit_code == 3
    assert end.verdict == "INVALID"
    assert end.status == "failed: Locust was killed (SIGKILL)"
    assert 0.2 < end.run["summary"]["window_s"] < 25, "the run was to last 30 s"
    assert end.run["summary"]["output_tokens_per_s"] > 20
    assert "Locust was killed (SIGKILL)" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("shape", [Shape.ONE, Shape.TWO])
def test_a_killed_command_takes_every_process_with_it_and_its_records_can_be_reported(
    shape: Shape, tmp_path: Path
) -> None:
    with running(tmp_path, shape, seconds=30) as load:
        psutil.Process(load.until_busy().master.pid).kill()
        end = load.end()
    done = streamgauge("report", tmp_path)

    must_be_honest(end)
    assert end.lost == 0
    assert done.returncode == 0
    report = (tmp_path / "report.md").read_text()
    assert "the run did not finish (status: running)" in report
    assert "INVALID" in report


def test_a_second_run_into_the_same_directory_is_refused_before_it_asks_for_anything(tmp_path: Path) -> None:
    with runs.claimed(tmp_path):
        (tmp_path / "run.json").write_text("{}")
        done = streamgauge("load", "http://127.0.0.1:9/v1/chat/completions", "--out", tmp_path)
        assert (tmp_path / "run.json").exists()

    assert done.returncode == 2
    assert f"cannot write to {tmp_path}: another run is writing there" in " ".join(done.stderr.split())


def test_a_locust_of_the_user_is_refused_too(tmp_path: Path) -> None:
    with runs.claimed(tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "locust", "-f", SCENARIOS / "chat.py", "--headless", "--run-time", "1s",
             "--host", "http://127.0.0.1:9/", "--run-dir", tmp_path],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    assert f"error: --run-dir: cannot write to {tmp_path}: another run is writing there" in done.stderr


def test_a_removed_run_directory_stops_the_load_and_the_figures_are_complete(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with running(directory, Shape.TWO, seconds=30) as load:
        load.until_busy()
        shutil.rmtree(directory)
        end = load.end()

    must_be_honest(end)
    assert end.exit_code == 3
    assert f"error: the run directory {directory} was removed or moved" in end.output
    assert "validity    INVALID the run directory" in end.output


def test_records_that_cannot_be_written_stop_the_load_and_are_counted(tmp_path: Path) -> None:
    with running(tmp_path, Shape.TWO, seconds=30, before=("bash", "-c", 'ulimit -f 40; exec "$@"', "-")) as load:
        end = load.end()

    must_be_honest(end)
    assert end.exit_code == 3, "a disk of this machine is no failure of the endpoint"
    assert end.lost > 0
    assert "could not write its records (File too large)" in end.output


def test_a_process_that_stood_still_makes_the_run_invalid(tmp_path: Path) -> None:
    with running(tmp_path, Shape.TWO, seconds=5) as load:
        stopped = load.until_busy().streaming[0]
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(3.5)
        stopped.send_signal(signal.SIGCONT)
        end = load.end()

    must_be_honest(end)
    assert (end.exit_code, end.verdict, end.lost) == (3, "INVALID", 0)
    assert f"worker {stopped.pid} on " in end.output
    still = re.search(r"stood still for ([\d.]+) s", end.output)
    assert still is not None
    assert float(still[1]) >= 3  # a busy machine lets the process stand still for longer


@pytest.mark.parametrize("by_s", [-5, 7])
def test_a_clock_that_is_set_during_the_run_is_told_and_does_not_change_its_length(tmp_path: Path, by_s: int) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    with running(tmp_path / "run", Shape.ONE, seconds=3, **shim(tmp_path)) as load:
        load.until_busy()
        (tmp_path / "step").write_text(str(by_s))
        end = load.end()

    must_be_honest(end)
    assert (end.exit_code, end.verdict, end.lost, end.status) == (3, "INVALID", 0, "complete")
    assert f"was set by {by_s:+}.000 s during the run" in end.output
    assert end.span_s < 6, "with the clock set back, a run that follows it lasts 8 s"
    summary = end.run["summary"]
    assert summary["streams"]["client_limit"] > 0
    assert f"set by {by_s:+}.000 s while the stream ran, so it has no times" in end.output
    assert (summary["warmup_streams"], summary["stalls"], summary["error_rate"]) == (0, 0, 0)
    for name in ("ttft_ms", "itl_ms", "e2e_ms"):
        assert 0 <= summary[name]["mean"] <= summary[name]["max"] < 4_000, (name, summary[name])
    starts = [record.start_ns for record in runs.RecordReader(tmp_path / "run")]
    assert max(starts) - min(starts) < 4.5 * SECOND


def test_workers_end_when_their_master_was_killed_and_name_the_records_that_they_keep(tmp_path: Path) -> None:
    with running(tmp_path, Shape.WORKERS, seconds=30) as load:
        load.until_busy().locust.kill()
        end = load.end()
        codes = [worker.wait(10) for worker in load.workers]

    must_be_honest(end)
    assert (end.exit_code, end.verdict, codes) == (3, "INVALID", [3, 3])
    assert end.kept_by_workers > 0
    assert end.span_s < 25, "the run was to last 30 s"


def test_a_stream_that_this_machine_cannot_ask_for_is_not_a_failure_of_the_endpoint(tmp_path: Path) -> None:
    few = ("bash", "-c", 'ulimit -n 40; exec "$@"', "-")
    with running(tmp_path, Shape.ONE, seconds=2, users=60, before=few) as load:
        end = load.end()

    must_be_honest(end)
    assert (end.exit_code, end.verdict, end.lost) == (3, "INVALID", 0)
    summary = end.run["summary"]
    assert summary["streams"]["client_limit"] > 0
    assert summary["error_rate"] == 0
    assert "this process has no file descriptor left (raise `ulimit -n`)" in end.output


def test_an_endpoint_that_is_down_for_a_while_is_told_by_its_time(tmp_path: Path) -> None:
    with running(tmp_path, Shape.ONE, seconds=5) as load:
        load.until_busy().endpoint_dies(1.5)
        end = load.end()

    must_be_honest(end, unseen=6)
    assert (end.exit_code, end.verdict, end.lost) == (1, "SUSPECT", 0)
    assert "nothing could connect to the endpoint for " in end.output


@pytest.mark.parametrize("command", ["probe", "check"])
def test_a_command_without_descriptors_blames_no_endpoint(
    paced: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("streamgauge.transport.connector._dial", no_descriptor)
    done = streamgauge(command, paced + CHAT)
    assert done.returncode == 3, done.stdout
    assert "this process has no file descriptor left" in " ".join(done.stderr.split())
