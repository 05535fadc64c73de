"""The run that this process takes part in: its workload, and the moment when it began, the same in every process."""

from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from streamgauge.loadgen.job import given_workload
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.summary import Window
from streamgauge.rundir.runs import write_window
from streamgauge.scenarios.hidden_log import hide_log
from streamgauge.scenarios.parent import watch_parent
from streamgauge.scenarios.record_channel import shipper
from streamgauge.scenarios.run_directory import run_directory
from streamgauge.steady import now_ns
from streamgauge.units import LONGEST_NS, MS, SECOND

LEAD_NS: Final = 500 * MS
"""From the announcement of an open loop's start to its first arrival: every process has to spawn its user first."""

_POLL_S: Final = 0.1
_BEGIN: Final = "streamgauge_begin"


WORKLOAD: Final = given_workload() or Workload(length_ns=LONGEST_NS)

_began: "AsyncResult" = AsyncResult()


def began_ns() -> int:
    """When the run began (epoch ns). Waits for the announcement."""
    return int(_began.get())


def is_over() -> bool:
    """Whether no stream may start any more."""
    return now_ns() >= began_ns() + WORKLOAD.length_ns


@events.init.add_listener  # type: ignore[untyped-decorator]
def _join(runner: Any = None, **_: Any) -> None:
    watch_parent()
    hide_log()
    if isinstance(runner, WorkerRunner):
        runner.register_message(_BEGIN, lambda msg, **_: _begin(msg.data["at_ns"] - _offset_ns()))


@events.init.add_listener  # type: ignore[untyped-decorator]
def _wake_the_clock(**_: Any) -> None:
    """Set the clock of the event loop, which stood still during the imports. Locust starts the timer of its --run-time
    by that clock: after imports of 6 s, as on a busy machine, it ended the run 6 s too early.
    """
    gevent.get_hub().loop.update_now()


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _announce(environment: Any, **_: Any) -> None:
    """In the leading process: decide when the run begins, before Locust spawns any user."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        return
    at_ns = now_ns() + (LEAD_NS if WORKLOAD.is_open else 0)
    if WORKLOAD.length_ns != LONGEST_NS:
        window = Window(at_ns + WORKLOAD.warmup_ns, at_ns + WORKLOAD.length_ns)
        write_window(run_directory(), window)
    if isinstance(runner, MasterRunner):
        runner.send_message(_BEGIN, {"at_ns": at_ns})
    _begin(at_ns)
    gevent.spawn(_end_when_drained, runner)


def _offset_ns() -> int:
    """The master's clock − this machine's clock; 0 when both are the same machine."""
    there = shipper()
    return there.offset_ns if there is not None else 0


def _begin(at_ns: int) -> None:
    # Set again for each test: from Locust's web UI one process may run several.
    _began.set(at_ns)


def _end_when_drained(runner: Any) -> None:
    """End the run when its time is up. Streams that still run get the drain time to end by themselves."""
    if WORKLOAD.length_ns == LONGEST_NS:
        return  # plain Locust: its own options decide
    end_ns = began_ns() + WORKLOAD.length_ns
    gevent.sleep(max(end_ns - now_ns(), 0) / SECOND)
    while now_ns() < end_ns + WORKLOAD.drain_ns and runner.user_count:
        gevent.sleep(_POLL_S)
    runner.quit()
