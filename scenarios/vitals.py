"""Notices, in a thread of its own, what falsifies the times of this process: it was stopped, or the clock was set.

The thread is the system's and not a greenlet, so that a busy event loop is not taken for a stop (see loop_lag.py).
"""

import time
from collections.abc import Callable
from typing import Final

from gevent.monkey import get_original

from streamgauge.rundir.accounts import Vitals
from streamgauge.units import MS, SECOND

_BEAT_S: Final = 0.1
_STOPPED_NS: Final = 3 * SECOND
"""A longer pause is a stop (SIGSTOP, a frozen machine): on a busy machine a thread does not wait so long for a core."""
_STEP_NS: Final = MS
"""Both clocks are slewed alike, so their difference changes only when one of them is set, or the machine was asleep."""
_TOGETHER_NS: Final = MS // 5
"""The clocks count as read at the same time if they were read within this."""


class Watch:
    """Follows the clocks. Each beat gets the monotonic clock, the epoch clock and the monotonic clock again."""

    def __init__(self) -> None:
        self.vitals = Vitals()
        self._beat_ns: int | None = None
        self._offset_ns: int | None = None

    def beat(self, before_ns: int, epoch_ns: int, after_ns: int) -> bool:
        """Whether `vitals` has changed."""
        known = self.vitals
        if self._beat_ns is not None and before_ns - self._beat_ns > _STOPPED_NS:
            self.vitals = self.vitals._replace(stopped_ns=self.vitals.stopped_ns + before_ns - self._beat_ns)
        self._beat_ns = before_ns
        if after_ns - before_ns <= _TOGETHER_NS:
            offset_ns = epoch_ns - before_ns
            step_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
            if abs(step_ns) > _STEP_NS:
                self.vitals = self.vitals._replace(stepped_ns=self.vitals.stepped_ns + step_ns)
            self._offset_ns = offset_ns
        return self.vitals != known


def watch_vitals(tell: Callable[[Vitals], None]) -> None:
    """Watch until this process ends; `tell` is called from the thread at every change."""
    get_original("_thread", "start_new_thread")(_beat, (Watch(), tell))


def _beat(watch: Watch, tell: Callable[[Vitals], None]) -> None:
    sleep = get_original("time", "sleep")
    while True:
        if watch.beat(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()):
            tell(watch.vitals)
        sleep(_BEAT_S)
