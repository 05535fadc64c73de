"""A child process ends with its parent, and a group ends as a whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from streamgauge.loadgen.orphans import end_group

WITH_PARENT = "import os, time; from streamgauge.loadgen.orphans import end_with_parent; end_with_parent({parent})"
SLEEP = "; print('here', flush=True); time.sleep(60)"


@pytest.fixture
def group() -> Iterator["subprocess.Popen[str]"]:
    """A process group: a leader that prints the process id of its child, which ignores SIGTERM."""
    stubborn = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN){SLEEP}"
    source = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    leader = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, start_new_session=True)
    yield leader
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.communicate()


def test_what_a_killed_leader_has_left_is_ended_even_if_it_ignores_sigterm(group: "subprocess.Popen[str]") -> None:
    assert group.stdout is not None
    left = psutil.Process(int(group.stdout.readline()))
    group.kill()
    group.wait()
    assert left.is_running()
    end_group(group.pid, 0.2)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_group_that_has_ended_is_left_alone(group: "subprocess.Popen[str]") -> None:
    os.killpg(group.pid, signal.SIGKILL)
    group.wait()
    began_s = time.monotonic()
    end_group(group.pid, 30)
    assert time.monotonic() - began_s < 5


def test_a_process_ends_with_its_parent() -> None:
    child = WITH_PARENT.format(parent="os.getppid()") + SLEEP
    source = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        left = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    for _ in range(200):
        if not left.is_running() or left.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    left.kill()
    raise AssertionError("it lives on")


def test_a_process_whose_parent_has_ended_before_ends_at_once() -> None:
    source = WITH_PARENT.format(parent=1 if os.getppid() != 1 else 2) + SLEEP
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=30, check=False)
    assert ended.returncode == -signal.SIGTERM
