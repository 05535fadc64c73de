"""Locust as a child process: gevent patches the whole interpreter, so it never enters the process of the caller."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from streamgauge.child_environment import child_environment
from streamgauge.endpoint.credentials import without_key
from streamgauge.endpoint.target import Target
from streamgauge.loadgen.cluster import locust_options
from streamgauge.loadgen.job import job, shipped
from streamgauge.loadgen.orphans import end_group
from streamgauge.loadgen.peer_token import TOKEN_ENV, new_token
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.scenario_files import is_named
from streamgauge.units import SECOND

LOG: Final = "locust.log"

_STOP_WAIT_S: Final = 15.0
_SHIPPED_WAIT_S: Final = 600.0  # for workers on other machines, which may still have records to send
_GRACE_S: Final = 5.0
"""The processes end the run themselves, to the millisecond. Locust's own limit has whole seconds, so it comes later."""

Child = subprocess.Popen[bytes]


@contextmanager
def locust(target: Target, plan: LoadPlan, claim: int) -> Iterator[Child]:
    """Run Locust with the job of this plan; its output goes to locust.log. When the block ends, so has every process of
    Locust. `claim` is the descriptor of the run directory's claim: it holds as long as any of these processes lives.
    """
    # A session of its own: Ctrl-C in a terminal reaches Locust once, from here, and not from the terminal too.
    with (plan.directory / LOG).open("wb") as log, _terminate_as_interrupt():
        child = Child(
            _command(target, plan), env={**_environment(plan), **_job(target, plan)}, pass_fds=[claim],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            # A Locust that was killed leaves the processes that it forked.
            end_group(child.pid, _STOP_WAIT_S)


def is_stopped(child: Child) -> bool:
    """Whether SIGSTOP has stopped Locust; False where the system does not tell."""
    with suppress(OSError):
        return Path(f"/proc/{child.pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "T"
    return False


def stop(child: Child, plan: LoadPlan) -> None:
    """End the run in order: Locust writes its records; kill it when that takes too long, or at a second Ctrl-C."""
    stop_within(child, _STOP_WAIT_S if plan.cluster is None else _SHIPPED_WAIT_S)


def stop_within(child: Child, wait_s: float) -> None:
    """SIGTERM, and SIGKILL to the whole process group after `wait_s` seconds."""
    # Not SIGINT: a script's background job ignores it, and so do the children of that job.
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(wait_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with suppress(ProcessLookupError):  # it may have ended just then
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _environment(plan: LoadPlan) -> Mapping[str, str]:
    """What a scenario of this package needs of the environment; the whole environment for a user's own scenario."""
    own = [path for path in plan.locustfiles if not is_named(path)]
    return os.environ if own else child_environment(os.environ)


def _job(target: Target, plan: LoadPlan) -> dict[str, str]:
    if plan.cluster is None:
        # A token of its own keeps every other process of this machine out of a run with several processes.
        return {**job(target, plan.workload, plan.prompts.plan), TOKEN_ENV: new_token()}
    # The master makes no streams, so its job has no key; each worker adds the key of its own machine.
    return {
        **job(without_key(target), plan.workload, plan.prompts.plan),
        **shipped([path.stem for path in plan.locustfiles]),
        TOKEN_ENV: plan.cluster.token,
    }


def _command(target: Target, plan: LoadPlan) -> list[str]:
    """The command line, which every user of this machine can read: it holds no secret. The job has the whole URL."""
    workload = plan.workload
    command = [
        sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", target.masked_url,
        "--run-dir", str(plan.directory), "--exit-code-on-error", "0", "-f", ",".join(map(str, plan.locustfiles)),
    ]  # fmt: skip
    if not workload.stages:  # stages are a load shape, and Locust refuses --users together with a shape
        users = workload.processes if workload.is_open else workload.users
        longest_s = math.ceil((workload.length_ns + workload.drain_ns) / SECOND + _GRACE_S)
        command += ["--users", str(users), "--spawn-rate", f"{workload.spawn_rate or users:g}"]
        command += ["--run-time", f"{longest_s}s"]
    return command + locust_options(plan.cluster, workload.processes)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: with its records and its report.

    Only the main thread may set a signal handler; in another thread SIGTERM keeps its meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
