"""How Locust is started and stopped as a child process."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.loadgen.cluster import Cluster
from streamgauge.loadgen.job import FOR_WORKERS, TARGET_ENV, for_workers, given_prompts, given_target, given_workload
from streamgauge.loadgen.locust_process import _command, _environment, _job, _terminate_as_interrupt, stop_within
from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.prompts import PromptPlan, source
from streamgauge.loadgen.scenario_files import locustfile
from streamgauge.loadgen.workload import Workload

TARGET = Target(url="http://127.0.0.1:9/chat", headers={"Authorization": "Bearer key"}, api_key_env="KEY")
PLAN = LoadPlan(Workload(length_ns=5, users=3), Path("run"), [Path("chat.py")], source(PromptPlan(text="Hi")))


class StoppedTwice(subprocess.Popen[bytes]):
    """The second Ctrl-C comes when the child has just ended."""

    pressed = False

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return code


def test_a_second_ctrl_c_just_after_the_end_is_no_error() -> None:
    child = StoppedTwice([sys.executable, "-c", ""], start_new_session=True)
    stop_within(child, 10)
    assert child.pressed
    assert child.returncode is not None


def test_the_job_arrives_as_it_was_given() -> None:
    job = _job(TARGET, PLAN)
    assert given_target(job) == TARGET
    assert given_workload(job) == PLAN.workload
    assert given_prompts(job) == PLAN.prompts.plan
    assert given_target({}) is given_workload({}) is given_prompts({}) is None


def test_a_master_has_no_key_to_send() -> None:
    job = _job(TARGET, PLAN._replace(cluster=Cluster("127.0.0.1", 1, 1)))
    assert "Bearer" not in "".join(job.values())


def test_nothing_but_the_job_travels_to_another_machine() -> None:
    environment = {**_job(TARGET, PLAN), "PATH": "/bin", "STREAMGAUGE_MOCK_API_KEY": "secret", "STREAMGAUGE_X": "x"}
    assert environment[TOKEN_ENV]
    assert TOKEN_ENV not in for_workers(environment)
    assert for_workers(environment).keys() <= set(FOR_WORKERS)
    assert TARGET_ENV in for_workers(environment)


def test_the_token_is_in_the_environment_and_on_no_command_line() -> None:
    plan = PLAN._replace(cluster=Cluster("127.0.0.1", 1, 1, "a token of the master"))
    assert _job(TARGET, plan)[TOKEN_ENV] == "a token of the master"
    assert "a token of the master" not in " ".join(_command(TARGET, plan))


def test_each_run_of_several_processes_has_a_token_of_its_own() -> None:
    assert _job(TARGET, PLAN)[TOKEN_ENV] != _job(TARGET, PLAN)[TOKEN_ENV]


def test_sigterm_ends_a_run_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), _terminate_as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_sets_no_signal_handler() -> None:
    entered = []

    def work() -> None:
        with _terminate_as_interrupt():
            entered.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [signal.getsignal(signal.SIGTERM)]


def test_the_command_line_holds_no_secret_of_the_target() -> None:
    target = Target(url="http://u:s3cr3t-pw@127.0.0.1:9/chat?api_key=s3cr3t-key&q=1")
    assert "s3cr3t" not in " ".join(_command(target, PLAN))


def test_only_a_scenario_of_the_user_gets_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@h/")
    assert "DATABASE_URL" in _environment(PLAN._replace(locustfiles=[Path("mine/chat.py")]))
    assert "DATABASE_URL" not in _environment(PLAN._replace(locustfiles=[locustfile("chat")]))
