"""Child processes that must not outlive their parent: nobody would read their records, and they would go on loading the
endpoint.

Two ways, because each has a gap: a child asks the kernel for a signal at its parent's end (a killed parent can end
nobody), and a parent that lives ends the whole process group of its child (a killed child leaves its own children).
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2) of Linux
_POLL_S: Final = 0.02
_KILL_WAIT_S: Final = 5.0
_PROC: Final = Path("/proc")
_DEAD: Final = frozenset("ZX")


def end_with_parent(parent: int) -> None:
    """Have this process ended, by SIGTERM, when its parent ends. If `parent` has ended already, end at once.

    The kernel forgets the request at a fork: every process must make its own.
    """
    with suppress(OSError, AttributeError):  # another system than Linux has no prctl
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def end_group(group: int, grace_s: float) -> None:
    """End what is left of a process group: SIGTERM, and SIGKILL for those that need more than `grace_s` to end."""
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_WAIT_S)):
        if not _lives(group):
            return
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)  # a stopped process does not handle SIGTERM
        until_s = time.monotonic() + wait_s
        while _lives(group) and time.monotonic() < until_s:
            time.sleep(_POLL_S)


def _lives(group: int) -> bool:
    """Whether a process of the group runs. A dead one that nobody has waited for does not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the number is another user's by now
    if not (_PROC / "self").exists():
        return True
    return any(_is_alive_in(group, path) for path in _PROC.glob("[0-9]*/stat"))


def _is_alive_in(group: int, stat: Path) -> bool:
    with suppress(OSError):
        # The command's name stands in brackets and may hold anything: the fields begin behind the last bracket.
        state, _, process_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
        return int(process_group) == group and state not in _DEAD
    return False
