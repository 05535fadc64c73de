"""Sleeping to the microsecond in gevent: libev's timers tick in milliseconds, which would bunch an open loop's starts.

timerfd_create(2) is called by ctypes. From Python 3.13 on os.timerfd_create does the same, and replaces this file's
ctypes when 3.13 is the oldest Python that is supported.
"""

import ctypes
import os
from typing import Final

import gevent
from gevent.socket import wait_read

from streamgauge.steady import OFFSET_NS, now_ns
from streamgauge.units import SECOND

_CLOCK_MONOTONIC: Final = 1
_ABSTIME: Final = 1  # TFD_TIMER_ABSTIME


class PreciseTimer:
    """Sleeps until absolute times, for one greenlet: by timerfd on Linux, elsewhere by gevent's own timer."""

    def __init__(self) -> None:
        self._spec = (ctypes.c_int64 * 4)()  # struct itimerspec: interval and value, each in s and ns
        try:
            self._library = ctypes.CDLL(None, use_errno=True)
            self._fd: int | None = self._library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        except (AttributeError, OSError):
            self._fd = None
        if self._fd == -1:
            self._fd = None

    def sleep_until(self, at_ns: int) -> None:
        """Return at `at_ns` (epoch, steady clock), at once when that has passed; other greenlets run meanwhile."""
        while (left_ns := at_ns - now_ns()) > 0:
            if self._fd is None:
                gevent.sleep(left_ns / SECOND)
                continue
            self._spec[2], self._spec[3] = divmod(at_ns - OFFSET_NS, SECOND)
            self._library.timerfd_settime(self._fd, _ABSTIME, self._spec, None)
            wait_read(self._fd)
            os.read(self._fd, 8)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
