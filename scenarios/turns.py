"""Work in gevent's hub, one piece at a time: between two pieces sockets are looked at, and starts that are due begin.

Two kinds of work wait here. `soon` wakes a greenlet: its response has bytes, or has ended, and its next request comes
after that. `later` interprets and records a finished stream; nobody waits for it, so it comes when nothing else is to
be done. A thousand streams that end in the same instant would otherwise stop this process for half a second.
"""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent.hub import Hub

from streamgauge.metrics.histogram import Counts, Histogram
from streamgauge.steady import now_ns
from streamgauge.units import MIB, MS, SECOND

GUARD_NS: Final = MS // 2
"""No work begins so shortly before the start of a stream; a piece of work takes a third of that."""
MOST_SOON: Final = 16
"""With more greenlets to wake, one is woken all the same: with a start every 0.5 ms they would never get their turn."""
MOST_LATER: Final = 4096
MOST_LATER_BYTES: Final = 64 * MIB
MOST_LATER_NS: Final = 3 * SECOND
"""With more finished streams to record, nobody is woken before some are recorded: the users wait, and it is counted.
The time is what all would take if each took as long as the last one: a small compressed body can take 0.3 s.
"""

_RETRY_S: Final = 0.001

Work = Callable[[], object]


class Turns:
    """The work of one hub. All of it runs in the hub itself and must not block."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._soon: deque[Work] = deque()
        self._later: deque[tuple[int, int, Work]] = deque()  # when it was put here (monotonic ns), bytes, work
        self._later_bytes = 0
        self._last_ns = 0  # what the last record took
        # Timers and not `run_callback`: gevent runs up to 1,000 callbacks before it looks at sockets and clocks again.
        self._now = hub.loop.timer(0)
        # With a repeat and `again`: libev starts a timer that has fired once without its delay.
        self._retry = hub.loop.timer(_RETRY_S, _RETRY_S)
        self._next_start_ns: int | None = None
        self._behind = Histogram()
        self._held = 0

    def soon(self, work: Work) -> None:
        """Do this as soon as possible."""
        self._soon.append(work)
        self._schedule()

    def later(self, work: Work, size: int) -> None:
        """Do this when there is time. It keeps `size` bytes in memory until then."""
        self._later.append((time.monotonic_ns(), size, work))
        self._later_bytes += size
        self._schedule()

    def announce_start(self, start_ns: int | None) -> None:
        """Begin no work just before `start_ns` (epoch ns), because a stream must start then. None cancels this."""
        self._next_start_ns = start_ns
        if start_ns is None and self._retry.active:
            self._retry.stop()
            self._now.start(self._turn)

    def finish(self) -> None:
        """Record all finished streams at once."""
        while self._later:
            self._record_one()

    def count_anew(self) -> None:
        """Forget `behind` and `held` so far."""
        self._behind = Histogram()
        self._held = 0

    @property
    def behind(self) -> Counts:
        """How long finished streams have waited for being recorded (ns)."""
        return self._behind.counts()

    @property
    def held(self) -> int:
        """How often a user had to wait, because too many finished streams waited for being recorded."""
        return self._held

    def _schedule(self) -> None:
        if not (self._now.active or self._retry.active):
            self._now.start(self._turn)

    def _turn(self) -> None:
        if self._start_is_near:
            self._retry.again(self._turn)
            return
        self._retry.stop()
        if self._soon and not self._is_full:
            self._do(self._soon.popleft())
        elif self._later:
            self._held += bool(self._soon)
            self._record_one()
        if self._soon or self._later:
            self._schedule()

    @property
    def _is_full(self) -> bool:
        waiting = len(self._later)
        return (
            waiting >= MOST_LATER or self._later_bytes >= MOST_LATER_BYTES or waiting * self._last_ns >= MOST_LATER_NS
        )

    def _record_one(self) -> None:
        since_ns, size, work = self._later.popleft()
        self._later_bytes -= size
        began_ns = time.monotonic_ns()
        self._behind.add([began_ns - since_ns])
        self._do(work)
        self._last_ns = time.monotonic_ns() - began_ns

    def _do(self, work: Work) -> None:
        """An error must not keep the other work from its turn: gevent prints it, as for any callback."""
        try:
            work()
        except BaseException:
            self._hub.handle_error(work, *sys.exc_info())

    @property
    def _start_is_near(self) -> bool:
        start_ns = self._next_start_ns
        return start_ns is not None and len(self._soon) <= MOST_SOON and start_ns - now_ns() < GUARD_NS


def turns() -> Turns:
    """The Turns of this thread's hub."""
    hub: Any = gevent.get_hub()
    found: Turns | None = getattr(hub, "streamgauge_turns", None)
    if found is None:
        found = hub.streamgauge_turns = Turns(hub)
    return found
