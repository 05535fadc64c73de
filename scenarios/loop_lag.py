"""Measures how late this process's event loop runs (a timer against the clock) and how much CPU the process uses.

A late loop makes the next stream start late. How long bytes can have waited for being read, each read tells itself.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gevent

from streamgauge import steady
from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import PERIOD_NS, WorkerRow, unsampled
from streamgauge.rundir.runs import write_worker
from streamgauge.scenarios.turns import turns
from streamgauge.units import SECOND

_SCHEDSTAT: Final = Path("/proc/self/schedstat")  # of the main thread, which is where gevent runs


class LoopLag:
    """Measures the loop's lag every `period_ns`; one object a process.

    It replaces its row in the run directory every second, so that a killed process leaves nearly all of its figures,
    and calls `alive`. Without a directory (the run directory of a remote worker is on the master's machine) it writes
    none.

    At `warm_ns` (epoch), the end of the warm-up, all figures begin anew: to start thousands of users keeps the loop
    busy, but says nothing about the measured streams.
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        warm_ns: int | None = None,
        period_ns: int = PERIOD_NS,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._alive = alive
        self._warm_ns = warm_ns
        self._period_ns = period_ns
        self._turns = turns()
        self._begin()
        # A timer and not a greenlet that sleeps: at 200 times a second that was a tenth of the cost of a small load.
        self._timer = gevent.get_hub().loop.timer(self._period_ns / SECOND, self._period_ns / SECOND)
        self._timer.start(self._measure)

    def pause(self) -> None:
        """Measure no more: the run stops, and to cut thousands of streams keeps the loop busy, but starts none late."""
        if self._timer.active:
            self._timer.stop()
            self._write_row(time.monotonic_ns())

    def resume(self) -> None:
        """Measure again, because one process may make several runs. The pause is not lateness."""
        if not self._timer.active:
            self._due_ns = time.monotonic_ns() + self._period_ns
            self._timer.start(self._measure)

    def _begin(self) -> None:
        """Count from now."""
        self._lags = Histogram()
        self._turns.count_anew()
        self._began_ns = time.monotonic_ns()
        self._due_ns = self._began_ns + self._period_ns
        self._cpu_ns, self._runnable_ns = time.process_time_ns(), _runnable_ns()
        self._next_row_ns = self._began_ns + SECOND

    def _measure(self) -> None:
        if self._warm_ns is not None and steady.now_ns() >= self._warm_ns:
            self._warm_ns = None
            self._begin()
            return
        now_ns = time.monotonic_ns()
        lag_ns = max(now_ns - self._due_ns, 0)
        # libev does not repeat timer events that it missed, so the next one is due a period after the last or now.
        self._due_ns = max(self._due_ns, now_ns - self._period_ns) + self._period_ns
        self._lags.add(unsampled(lag_ns, self._period_ns))
        if now_ns >= self._next_row_ns:
            self._next_row_ns = now_ns + SECOND
            self._write_row(now_ns)
            self._alive()

    def _write_row(self, now_ns: int) -> None:
        if self._directory is not None:
            write_worker(self._directory, self._row(now_ns))

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
