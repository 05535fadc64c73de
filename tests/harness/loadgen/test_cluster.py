"""What Locust is told about the processes of a run."""

import os
import socket
import subprocess
import sys

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.loadgen.cluster import PORT, Cluster, Worker, become, free_place, locust_options
from streamgauge.loadgen.job import LocalFiles
from streamgauge.loadgen.model import count_processes
from streamgauge.loadgen.peer_token import FEWEST_CHARACTERS, TOKEN_ENV, check_token, master_key


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
    assert len({free_place() for _ in range(20)}) > 1


def test_processes_meet_on_ipv6_where_there_is_no_ipv4() -> None:
    not_here = (socket.AF_INET, "192.0.2.1")
    assert free_place([not_here, (socket.AF_INET6, "::1")]).host == "::1"
    with pytest.raises(UsageError, match="no loopback address"):
        free_place([not_here])


def test_the_command_for_workers_has_the_token_that_the_master_made() -> None:
    made = Cluster("10.0.0.5", 6000, 3)
    command = f"{TOKEN_ENV}={made.token} streamgauge load --worker 10.0.0.5:6000"
    assert made.join_command(Target(url="http://10.0.0.9/chat")) == command
    needy = Target(url="http://10.0.0.9/chat", api_key_env="KEY", cert="my cert.pem", ca="ca.pem")
    assert made.join_command(needy) == f"{command} --api-key-env KEY --ca ca.pem --cert 'my cert.pem'"
    assert len(made.token) >= 2 * FEWEST_CHARACTERS
    assert made.token != Cluster("10.0.0.5", 6000, 3).token
    assert made.token not in repr(made)


def test_a_token_of_the_user_is_not_printed() -> None:
    given = Cluster("fd00::5", 6000, 3, "a secret of the user", printed_token=False)
    command = given.join_command(Target(url="http://10.0.0.9/chat"))
    assert command.startswith("streamgauge load --worker [fd00::5]:6000 ")
    assert TOKEN_ENV in command
    assert given.token not in command


def test_a_token_that_can_be_guessed_is_refused_and_not_quoted() -> None:
    assert check_token("sixteen-letters!") == "sixteen-letters!"
    with pytest.raises(UsageError, match="has 7 characters") as refused:
        check_token("hunter2")
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_the_key_of_a_token_is_the_same_on_every_machine_and_of_no_other_token() -> None:
    assert master_key("a" * 16).hex() == "3546baa8a9252f02a9207de83369401ec5394b1d09cf4b7306cff8627047dce7"
    assert master_key("a" * 16) != master_key("a" * 17)


def test_a_worker_without_a_token_is_told_where_to_find_it() -> None:
    with pytest.raises(UsageError, match=TOKEN_ENV) as refused:
        become(Worker("here:5557", None, None, LocalFiles(), 1))
    assert "`load --master` prints" in (refused.value.hint or "")


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
