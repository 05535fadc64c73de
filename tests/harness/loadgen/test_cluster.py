"""What Locust is told about the processes of a run."""

import os
import subprocess
import sys

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import PORT, Cluster, free_port, locust_options
from streamgauge.loadgen.model import count_processes


def option(options: list[str], name: str) -> str:
    return options[options.index(name) + 1]


def test_processes_of_one_run_meet_where_no_other_run_looks() -> None:
    # On Locust's own port the processes of a second run become workers of the first, and write into its records.
    options = locust_options(None, 2)
    port = option(options, "--master-port")
    assert port == option(options, "--master-bind-port") != str(PORT)
    assert option(options, "--master-host") == option(options, "--master-bind-host") == "127.0.0.1"
    assert locust_options(None, 1) == []


def test_a_free_port_is_another_each_time() -> None:
    assert len({free_port() for _ in range(20)}) > 1


def test_a_master_listens_where_it_was_told() -> None:
    options = locust_options(Cluster("10.0.0.5", 6000, 3), 1)
    assert option(options, "--master-bind-host") == "10.0.0.5"
    assert option(options, "--master-bind-port") == "6000"
    assert option(options, "--expect-workers") == "3"
    assert int(option(options, "--expect-workers-max-wait")) > 0, "else it waits for ever"
    assert "--processes" not in options


def test_minus_one_is_every_cpu() -> None:
    assert count_processes(-1) == os.cpu_count()
    assert count_processes(3) == 3
    for asked in (0, -2):
        with pytest.raises(UsageError, match="cannot be run"):
            count_processes(asked)
    with pytest.raises(UsageError, match="more than 1024"):
        count_processes(100_000)


def test_a_master_whose_name_is_none_is_said_at_once() -> None:
    asked = [sys.executable, "-m", "streamgauge.scenarios.worker", "--host", "no-such-host.invalid", "--port", "5557"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "'no-such-host.invalid' cannot be resolved" in done.stdout + done.stderr
