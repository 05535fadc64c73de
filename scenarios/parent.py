"""Ends this process when its parent has ended: the `load` command, or the Locust process that forked it."""

import os
import signal
from typing import Final

from gevent.monkey import get_original

from streamgauge.loadgen.job import PARENT_ENV
from streamgauge.loadgen.orphans import end_with_parent

_POLL_S: Final = 0.25
_ORDERLY_S: Final = 3.0
"""Time to record the streams that run. A process of which nobody knows must be gone soon."""

_IMPORTED_IN: Final = os.getpid()  # Locust imports its scenarios before it forks for --processes


def watch_parent() -> None:
    """Have this process end with its parent: call it once in each process, after the fork."""
    parent = _parent()
    if parent is None:
        return
    end_with_parent(parent)
    # A thread of the system's and not a greenlet: it also ends a process whose event loop is held up.
    get_original("_thread", "start_new_thread")(_watch, (parent,))


def _parent() -> int | None:
    """The process that must live as long as this one; None for a Locust that a user has started."""
    if os.getpid() != _IMPORTED_IN:
        return _IMPORTED_IN
    parent = os.environ.get(PARENT_ENV)
    return int(parent) if parent else None


def _watch(parent: int) -> None:
    sleep = get_original("time", "sleep")
    while os.getppid() == parent:
        sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(_ORDERLY_S)
    os.kill(os.getpid(), signal.SIGKILL)
