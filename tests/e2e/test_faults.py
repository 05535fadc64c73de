"""When something goes wrong under a load, nothing goes on loading the endpoint, and no stream is lost in silence."""

from pathlib import Path

import psutil
import pytest

from tests.builders.command import streamgauge
from tests.faults.running import End, Shape, running


def must_be_honest(end: End) -> None:
    """What holds after every fault."""
    assert "Traceback" not in end.output
    assert end.survivors == []
    assert end.unnamed == 0, (end.started, end.recorded, end.lost)
    assert end.exit_code not in (0, 1), end.output
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
