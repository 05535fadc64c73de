"""Measures how late this process's event loop runs (a timer against the clock) and how much CPU the process uses.

The kernel's stamp of a read is exact unless two tokens share it. Then the first token waited in the socket, but not
longer than the loop was late around that time. The verdict on the client rests on this bound.
"""

import os
import time
from bisect import bisect_left
from pathlib import Path
from typing import Final

import gevent

from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import PERIOD_NS, WorkerRow, unsampled
from streamgauge.rundir.runs import append_worker
from streamgauge.scenarios.turns import turns
from streamgauge.units import MS, SECOND

_LATE_NS: Final = MS  # longer lags are remembered one by one, shorter ones are only counted
_SCHEDSTAT: Final = Path("/proc/self/schedstat")  # of the main thread, which is where gevent runs


class LoopLag:
    """Measures the loop's lag every `period_ns`; one object a process.

    It appends a row to `workers.jsonl` every second, so that a killed process leaves nearly all of its figures. Without
    a directory (the run directory of a remote worker is on the master's machine) it only answers `waited_ns`.
    """

    def __init__(self, directory: Path | None, remembered: int = 4096, period_ns: int = PERIOD_NS) -> None:
        self._directory = directory
        self._period_ns = period_ns
        self._lags = Histogram()
        self._turns = turns()
        self._remembered = remembered
        self._pauses: list[tuple[int, int]] = []  # (epoch ns of its end, length), in order
        self._forgotten: tuple[int, int] = (0, 0)  # of forgotten pauses: the last one's end, the longest one's length
        self._began_ns = time.monotonic_ns()
        self._due_ns = self._began_ns + self._period_ns
        self._cpu_ns, self._runnable_ns = time.process_time_ns(), _runnable_ns()
        self._next_row_ns = self._began_ns + SECOND
        # A timer and not a greenlet that sleeps: at 200 times a second that was a tenth of the cost of a small load.
        self._timer = gevent.get_hub().loop.timer(self._period_ns / SECOND, self._period_ns / SECOND)
        self._timer.start(self._measure)

    def waited_ns(self, taken_ns: int) -> int:
        """How long the bytes of a read at `taken_ns` (epoch ns) may have waited, by the loop's lag around that time."""
        lag_ns = self._longest_ns(taken_ns - self._period_ns, taken_ns)
        # Bytes that arrive during one turn of the loop are read in the next turn, so they may wait through both.
        return 2 * max(lag_ns, self._longest_ns(taken_ns - self._period_ns - 2 * lag_ns, taken_ns))

    def _longest_ns(self, start_ns: int, end_ns: int) -> int:
        """The longest pause that touches the time between `start_ns` and `end_ns`."""
        # A measurement that is overdue means that the loop pauses right now.
        overdue_ns = time.monotonic_ns() - self._due_ns
        longest = overdue_ns if overdue_ns > _LATE_NS and time.time_ns() - overdue_ns <= end_ns else 0
        if start_ns <= self._forgotten[0]:
            longest = max(longest, self._forgotten[1])
        for index in range(bisect_left(self._pauses, (start_ns, 0)), len(self._pauses)):
            ended_ns, length_ns = self._pauses[index]
            if ended_ns - length_ns > end_ns:
                break
            longest = max(longest, length_ns)
        return longest

    def _measure(self) -> None:
        now_ns = time.monotonic_ns()
        lag_ns = max(now_ns - self._due_ns, 0)
        # libev does not repeat timer events that it missed, so the next one is due a period after the last or now.
        self._due_ns = max(self._due_ns, now_ns - self._period_ns) + self._period_ns
        self._lags.add(unsampled(lag_ns, self._period_ns))
        if lag_ns > _LATE_NS:
            self._pauses.append((time.time_ns(), lag_ns))
            if len(self._pauses) > 2 * self._remembered:
                forgotten = self._pauses[: -self._remembered]
                self._forgotten = forgotten[-1][0], max(self._forgotten[1], *(length for _, length in forgotten))
                del self._pauses[: -self._remembered]
        if now_ns >= self._next_row_ns:
            self._next_row_ns = now_ns + SECOND
            if self._directory is not None:
                append_worker(self._directory, self._row(now_ns))

    def _row(self, now_ns: int) -> WorkerRow:
        runnable_ns = _runnable_ns()
        known = runnable_ns is not None and self._runnable_ns is not None
        return WorkerRow(
            worker=os.getpid(),
            wall_ns=now_ns - self._began_ns,
            cpu_ns=time.process_time_ns() - self._cpu_ns,
            waited_ns=(runnable_ns or 0) - (self._runnable_ns or 0) if known else None,
            late=self._lags.counts(),
            behind=self._turns.behind,
            held=self._turns.held,
        )


def _runnable_ns() -> int | None:
    """How long this thread was ready to run but had no CPU (Documentation/scheduler/sched-stats.rst of Linux)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
