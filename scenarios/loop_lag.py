"""How late this process runs: a timer of its event loop against the clock, and the CPU that it used and waited for."""

import os
import time
from bisect import bisect_left
from pathlib import Path
from typing import Final

import gevent

from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import PERIOD_NS, WorkerRow, unsampled
from streamgauge.rundir.runs import append_worker
from streamgauge.units import MS, SECOND

_LATE_NS: Final = MS  # what is remembered pause by pause; less is only counted
_SCHEDSTAT: Final = Path("/proc/self/schedstat")  # of the main thread, which is where gevent runs


class Heartbeat:
    """One a process. Appends a row to `workers.jsonl` every second, so that a killed process has told most of it.

    Without a directory, as for a worker on another machine than the run's, it only knows how late this process was.
    """

    def __init__(self, directory: Path | None, remembered: int = 4096) -> None:
        self._directory = directory
        self._late = Histogram()
        self._remembered = remembered
        self._pauses: list[tuple[int, int]] = []  # (epoch ns of its end, length), in order
        self._forgotten: tuple[int, int] = (0, 0)  # the end of the last one, and the length of the longest
        self._began_ns = time.monotonic_ns()
        self._due_ns = self._began_ns + PERIOD_NS
        self._cpu_ns, self._waited_ns = time.process_time_ns(), _waited_ns()
        self._next_row_ns = self._began_ns + SECOND
        # Not a greenlet that sleeps: two hundred times a second that is a tenth of all that a small load costs.
        self._timer = gevent.get_hub().loop.timer(PERIOD_NS / SECOND, PERIOD_NS / SECOND)
        self._timer.start(self._beat)

    def waited_ns(self, taken_ns: int) -> int:
        """How long what was read then (epoch ns) can have waited, by how late the loop ran around that time."""
        late_ns = self._late_ns(taken_ns - PERIOD_NS, taken_ns)
        # What arrives during one turn of the loop is read in the next, which may end with the read.
        return 2 * max(late_ns, self._late_ns(taken_ns - PERIOD_NS - 2 * late_ns, taken_ns))

    def _late_ns(self, start_ns: int, end_ns: int) -> int:
        """How late the loop ran at worst between two times."""
        # The tick that is due, and has not come, is a pause that goes on.
        overdue_ns = time.monotonic_ns() - self._due_ns
        worst = overdue_ns if overdue_ns > _LATE_NS and time.time_ns() - overdue_ns <= end_ns else 0
        if start_ns <= self._forgotten[0]:
            worst = max(worst, self._forgotten[1])
        for index in range(bisect_left(self._pauses, (start_ns, 0)), len(self._pauses)):
            ended_ns, length_ns = self._pauses[index]
            if ended_ns - length_ns > end_ns:
                break
            worst = max(worst, length_ns)
        return worst

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        late_ns = max(now_ns - self._due_ns, 0)
        # As libev does it: a beat that was missed is not made up for.
        self._due_ns = max(self._due_ns, now_ns - PERIOD_NS) + PERIOD_NS
        self._late.add(unsampled(late_ns))
        if late_ns > _LATE_NS:
            self._pauses.append((time.time_ns(), late_ns))
            if len(self._pauses) > 2 * self._remembered:
                forgotten = self._pauses[: -self._remembered]
                self._forgotten = forgotten[-1][0], max(self._forgotten[1], *(length for _, length in forgotten))
                del self._pauses[: -self._remembered]
        if now_ns >= self._next_row_ns:
            self._next_row_ns = now_ns + SECOND
            if self._directory is not None:
                append_worker(self._directory, self._row(now_ns))

    def _row(self, now_ns: int) -> WorkerRow:
        waited_ns = _waited_ns()
        known = waited_ns is not None and self._waited_ns is not None
        return WorkerRow(
            worker=os.getpid(),
            wall_ns=now_ns - self._began_ns,
            cpu_ns=time.process_time_ns() - self._cpu_ns,
            waited_ns=(waited_ns or 0) - (self._waited_ns or 0) if known else None,
            late=self._late.counts(),
        )


def _waited_ns() -> int | None:
    """How long this thread was ready to run and had no CPU (Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
