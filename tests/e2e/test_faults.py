"""When something goes wrong under a load, nothing goes on loading the endpoint, and no stream is lost in silence."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from streamgauge.rundir import runs
from tests.builders.command import streamgauge
from tests.faults.running import End, Shape, running


def must_be_honest(end: End) -> None:
    """What holds after every fault."""
    assert "Traceback" not in end.output
    assert end.survivors == []
    assert end.unnamed == 0, (end.started, end.recorded, end.lost)
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
    assert 0.2 < end.run["summary"]["window_s"] < 10
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
    assert "stood still for 3." in end.output


@pytest.mark.parametrize("by_s", [-5, 7])
def test_a_clock_that_is_set_during_the_run_is_told_and_does_not_change_its_length(tmp_path: Path, by_s: int) -> None:
    shim, step = tmp_path / "shim.so", tmp_path / "step"
    source = Path(__file__).parents[1] / "faults" / "clock_shim.c"
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    preload = {"LD_PRELOAD": str(shim), "SHIM_STEP": str(step)}
    with running(tmp_path / "run", Shape.ONE, seconds=3, **preload) as load:
        load.until_busy()
        step.write_text(str(by_s))
        end = load.end()

    must_be_honest(end)
    assert (end.exit_code, end.verdict, end.lost, end.status) == (3, "INVALID", 0, "complete")
    assert f"was set by {by_s:+}.000 s during the run" in end.output
    assert end.span_s < 3.5
