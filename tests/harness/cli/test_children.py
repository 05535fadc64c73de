"""The mock of a command ends with the command, also when that is killed."""

import subprocess
import sys
import time

import psutil

SOURCE = (
    "from streamgauge.cli.children import child\nimport time\n"
    "with child('mock') as url:\n    print(url, flush=True)\n    time.sleep(60)\n"
)


def test_a_mock_ends_with_the_command_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SOURCE], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith("http://")
        (mock,) = psutil.Process(parent.pid).children()
        parent.kill()
    for _ in range(250):
        if not mock.is_running() or mock.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    mock.kill()
    raise AssertionError("the mock lives on")
