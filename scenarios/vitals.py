"""Notices, in a thread of its own, what falsifies the times of this process: it was stopped, or the clock was set.

The thread is the system's and not a greenlet, so that a busy event loop is not taken for a stop (see loop_lag.py).
"""

import time
from collections.abc import Callable
from typing import Final

from gevent.monkey import get_original

from streamgauge.rundir.vitals import Vitals, Watch

_BEAT_S: Final = 0.1


def watch_vitals(tell: Callable[[Vitals], None]) -> None:
    """Watch until this process ends; `tell` is called from the thread at every change."""
    get_original("_thread", "start_new_thread")(_beat, (Watch(), tell))


def _beat(watch: Watch, tell: Callable[[Vitals], None]) -> None:
    sleep = get_original("time", "sleep")
    while True:
        if watch.beat(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()):
            tell(watch.vitals)
        sleep(_BEAT_S)
