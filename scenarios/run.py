"""The run that a process takes part in: what it was asked for, and the moment it began, the same in every process."""

import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from streamgauge.loadgen.job import PARENT_ENV, given_workload
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.summary import Window
from streamgauge.rundir.runs import write_window
from streamgauge.scenarios.record_channel import shipper
from streamgauge.units import LONGEST_NS, MS, SECOND

LEAD_NS: Final = 500 * MS
"""From the announcement of an open loop's start to its first arrival: for users to be spawned in every process."""

_POLL_S: Final = 0.1
_PARENT_S: Final = 1.0
_BEGIN: Final = "streamgauge_begin"


WORKLOAD: Final = given_workload() or Workload(length_ns=LONGEST_NS)

_began: "AsyncResult" = AsyncResult()


def began_ns() -> int:
    """When the run began (epoch ns); waits until this process has been told."""
    return int(_began.get())


def is_over() -> bool:
    """Whether no stream may start any more."""
    return time.time_ns() >= began_ns() + WORKLOAD.length_ns


@events.init.add_listener  # type: ignore[untyped-decorator]
def _end_with_parent(**_: Any) -> None:
    """A load whose command was killed must not go on: nobody would read its records."""
    parent = os.environ.get(PARENT_ENV)
    if parent is None or os.getppid() != int(parent):
        return  # plain Locust, or one of the processes that Locust itself ends

    def watch() -> None:
        while os.getppid() == int(parent):
            gevent.sleep(_PARENT_S)
        os.kill(os.getpid(), signal.SIGTERM)

    gevent.spawn(watch)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _listen(runner: Any = None, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        runner.register_message(_BEGIN, lambda msg, **_: _begin(msg.data["at_ns"] - _offset_ns()))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _announce(environment: Any, **_: Any) -> None:
    """Decide the beginning in the process that leads, before it spawns a user anywhere."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return
    at_ns = time.time_ns() + (LEAD_NS if WORKLOAD.is_open else 0)
    if WORKLOAD.length_ns != LONGEST_NS:
        window = Window(at_ns + WORKLOAD.warmup_ns, at_ns + WORKLOAD.length_ns)
        write_window(Path(environment.parsed_options.run_dir), window)
    if isinstance(runner, MasterRunner):
        runner.send_message(_BEGIN, {"at_ns": at_ns})
    _begin(at_ns)
    gevent.spawn(_end_when_drained, runner)


def _offset_ns() -> int:
    """The master's clock − this one, where the master is another machine."""
    there = shipper()
    return there.offset_ns if there is not None else 0


def _begin(at_ns: int) -> None:
    # In Locust's web UI one process may run several tests.
    _began.set(at_ns)


def _end_when_drained(runner: Any) -> None:
    """End the run when its time is up: streams that still run have the drain time, unless all users stop sooner."""
    if WORKLOAD.length_ns == LONGEST_NS:
        return  # Locust's own options decide
    end_ns = began_ns() + WORKLOAD.length_ns
    gevent.sleep(max(end_ns - time.time_ns(), 0) / SECOND)
    while time.time_ns() < end_ns + WORKLOAD.drain_ns and runner.user_count:
        gevent.sleep(_POLL_S)
    runner.quit()
