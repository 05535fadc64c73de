"""All deadlines of an event loop behind one kernel timer (timerfd, see timerfd_create(2)).

`loop.call_at` for each token would cost as much as the token itself, and libuv's timers have a resolution of 1 ms.
Here one wake-up serves every deadline that has passed. With few waiting streams, the timer is precise to the
microsecond. With many, deadlines are rounded up to the millisecond: they share wake-ups and places in the heap, and a
token is up to 1 ms late, never early.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

# Above this number of waiting streams, deadlines are rounded up to SHARED_NS.
MANY = 64
SHARED_NS = 1_000_000


class Timer:
    """One deadline, which can be cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def __next__(self) -> int:
        """Call the callback, and stop."""
        if self.callback is not None:
            self.callback()
        raise StopIteration

    def cancel(self) -> None:
        """Do not call. The entry stays in the heap until its time: removing it there would be linear."""
        self.callback = None


class Resumable(Protocol):
    """Is resumed at a deadline and gives the next one, or stops. A generator is the cheapest implementation."""

    def __next__(self) -> int:
        """Go on, and return the next deadline; StopIteration when there is none."""


class Timers:
    """The deadlines of one event loop; times are those of `time.monotonic_ns`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now_ns = 0  # monotonic time of the wake-up whose callbacks are running
        self._heap: list[int] = []
        self._due: dict[int, list[Resumable]] = {}  # by the times in the heap
        self._waiting = 0
        self._alarm: _KernelAlarm | _LoopAlarm
        try:
            self._alarm = _KernelAlarm(loop, self._fire)
        except OSError:
            self._alarm = _LoopAlarm(loop, self._fire)
        self._armed_ns: int | None = None  # the deadline that the alarm is set for
        self._firing = False

    def at(self, deadline_ns: int, callback: Callable[[], None]) -> Timer:
        """Call `callback` at `deadline_ns`, or as soon as the loop gets to it when that has passed."""
        timer = Timer(callback)
        self.follow(deadline_ns, timer)
        return timer

    def follow(self, deadline_ns: int, beat: Resumable) -> None:
        """Resume `beat` at `deadline_ns`, then at each deadline that it returns."""
        self._waiting += 1
        if self._add(deadline_ns, beat) and not self._firing:
            self._arm()

    def close(self) -> None:
        """Forget every deadline."""
        self._heap.clear()
        self._due.clear()
        self._alarm.close()

    def _add(self, deadline_ns: int, beat: Resumable) -> bool:
        """Whether the alarm must be set again, because this deadline is now the first."""
        if self._waiting > MANY:
            deadline_ns += -deadline_ns % SHARED_NS
        due = self._due.get(deadline_ns)
        if due is not None:
            due.append(beat)
            return False
        self._due[deadline_ns] = [beat]
        heappush(self._heap, deadline_ns)
        return self._armed_ns is None or deadline_ns < self._armed_ns

    def _arm(self) -> None:
        self._armed_ns = self._heap[0] if self._heap else None
        self._alarm.set(self._armed_ns)

    def _fire(self) -> None:
        # Read once: deadlines that pass during the callbacks wait for the next wake-up, so that sockets get a turn.
        self.now_ns = now_ns = time.monotonic_ns()
        heap, add = self._heap, self._add
        self._firing = True
        try:
            while heap and heap[0] <= now_ns:
                for beat in self._due.pop(heappop(heap)):
                    if deadline_ns := next(beat, 0):
                        add(deadline_ns, beat)
                    else:
                        self._waiting -= 1
        finally:
            self._firing = False
            self._arm()


class _KernelAlarm:
    """timerfd_create(2); OSError where the system has none.

    By ctypes, because `os.timerfd_create` came with Python 3.13: replace this class when 3.13 is the oldest supported.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        if sys.platform != "linux" or sys.maxsize < 2**32:
            raise OSError("no timerfd with 64-bit times")
        library = ctypes.CDLL(None, use_errno=True)
        self._fd: int = library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._settime = library.timerfd_settime
        self._spec = (ctypes.c_int64 * 4)()  # struct itimerspec: interval and value, each in s and ns
        self._loop = loop
        loop.add_reader(self._fd, callback)

    def set(self, deadline_ns: int | None) -> None:
        """Ring once at `deadline_ns`, or never for None; replaces the earlier setting."""
        self._spec[2], self._spec[3] = divmod(deadline_ns, 1_000_000_000) if deadline_ns is not None else (0, 0)
        self._settime(self._fd, 1, self._spec, None)  # 1: TFD_TIMER_ABSTIME

    def close(self) -> None:
        """Close the descriptor."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class _LoopAlarm:
    """The loop's own timer, for systems without timerfd."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop, self._callback = loop, callback
        self._handle: asyncio.TimerHandle | None = None

    def set(self, deadline_ns: int | None) -> None:
        """Ring once at `deadline_ns`, or never for None."""
        self.close()
        if deadline_ns is not None:
            delay_s = max(0, deadline_ns - time.monotonic_ns()) / 1e9
            self._handle = self._loop.call_later(delay_s, self._callback)

    def close(self) -> None:
        """Don't ring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
