"""What a load reports while it runs: events for a callback. `print` is such a callback: each event has a text."""

from collections.abc import Callable
from dataclasses import dataclass

from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.summary import Totals
from streamgauge.units import SECOND, plural


@dataclass(frozen=True, slots=True)
class Waiting:
    """A master waits for workers on other machines; `join_command` is what to run there."""

    workers: int
    join_command: str

    def __str__(self) -> str:
        return f"waiting for {plural(self.workers, 'worker')}; on each machine: {self.join_command}"


@dataclass(frozen=True, slots=True)
class Running:
    """The run at `now_ns` (epoch), twice a second. Until it has begun, `waiting_for` says what it waits for.

    `totals` are the run's own and go on changing: take what you need of them before the callback returns.
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
        return f"stopping{f', {self.reason}' if self.reason else ''}: what has been measured is kept ..."


LoadEvent = Waiting | Running | Stopping
LoadProgress = Callable[[LoadEvent], None]


def silent(_: LoadEvent) -> None:
    """Shows nothing."""
