"""How late this process runs: a timer of its event loop against the clock, and the CPU that it used and waited for."""

import os
import time
from collections import deque
from pathlib import Path
from typing import Final

import gevent

from harness.histogram import Histogram
from harness.runs import append_worker
from harness.units import MS, SECOND
from harness.workers import PERIOD_NS, WorkerRow, unsampled

_LATE_NS: Final = MS  # what is remembered pause by pause; less is only counted
_REMEMBERED: Final = 4096
_SCHEDSTAT: Final = Path("/proc/self/schedstat")  # of the main thread, which is where gevent runs


class Heartbeat:
    """One a process. Appends a row to `workers.jsonl` every second, so that a killed process has told most of it.

    Without a directory, as for a worker on another machine than the run's, it only knows how late this process was.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._late = Histogram()
        self._pauses: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)  # (epoch ns of its end, length)
        self._began_ns = time.monotonic_ns()
        self._due_ns = self._began_ns + PERIOD_NS
        self._cpu_ns, self._waited_ns = time.process_time_ns(), _waited_ns()
        self._next_row_ns = self._began_ns + SECOND
        # Not a greenlet that sleeps: two hundred times a second that is a tenth of all that a small load costs.
        self._timer = gevent.get_hub().loop.timer(PERIOD_NS / SECOND, PERIOD_NS / SECOND)
        self._timer.start(self._beat)

    def worst_ns(self, start_ns: int, end_ns: int) -> int:
        """How late the loop ran at worst between two times (epoch ns)."""
        # The tick that is due, and has not come, is a pause that goes on.
        overdue_ns = time.monotonic_ns() - self._due_ns
        worst = overdue_ns if overdue_ns > _LATE_NS and time.time_ns() - overdue_ns <= end_ns else 0
        for ended_ns, length_ns in reversed(self._pauses):
            if ended_ns < start_ns:
                break
            if ended_ns - length_ns <= end_ns:
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
