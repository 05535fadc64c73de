"""The events that a load passes to its progress callback. Each event has a text, so `print` can be the callback."""

from collections.abc import Callable
from dataclasses import dataclass

from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.summary import Totals
from streamgauge.units import SECOND, plural


@dataclass(frozen=True, slots=True)
class Waiting:
    """A master waits for workers on other machines. `join_command` is the command to run there."""

    workers: int
    join_command: str

    def __str__(self) -> str:
        return f"waiting for {plural(self.workers, 'worker')}; on each machine: {self.join_command}"


@dataclass(frozen=True, slots=True)
class TraceRead:
    """A trace was read; `understood` says how, before the load starts."""

    understood: str

    def __str__(self) -> str:
        return f"trace: {self.understood}"


@dataclass(frozen=True, slots=True)
class Expected:
    """Before the run: how many streams it will give, and what the objectives need (loadgen/sample_size.py)."""

    streams: int
    says: str

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, slots=True)
class Running:
    """The state of the run at `now_ns` (epoch), twice a second. Before the run begins, see `waiting_for`.

    `totals` is not a copy and goes on changing: read the figures that you need before the callback returns.
    """

    totals: Totals
    workload: Workload
    now_ns: int
    waiting_for: str

    def __str__(self) -> str:
        if self.totals.window is None:
            return self.waiting_for
        passed_ns = self.now_ns - self.totals.window.begin_ns + self.workload.warmup_ns
        seconds = min(max(passed_ns, 0), self.workload.length_ns) / SECOND
        streams = plural(self.totals.started, "stream")
        return f"{seconds:.0f} of {self.workload.length_ns / SECOND:.0f} s: {streams} ended"


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run ends before its time: a limit was passed (`reason`), or Ctrl-C was pressed (None)."""

    reason: str | None = None

    def __str__(self) -> str:
        return f"stopping{f', {self.reason}' if self.reason else ''}: everything measured so far is kept ..."


LoadEvent = TraceRead | Waiting | Expected | Running | Stopping
LoadProgress = Callable[[LoadEvent], None]


def silent(_: LoadEvent) -> None:
    """Shows nothing."""
