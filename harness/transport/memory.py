"""The memory that responses take. Each has a share of its own; all that need more draw on one pool.

A hostile endpoint fills a gigabyte in seconds, and once more in every stream. So a limit for each stream is not enough:
a process has one MemoryBudget, and each response a Holding in it, which lives as long as the response's capture.

A response that the pool has no room for is within its own limits, so its end says nothing about the endpoint: it is a
limit of this client (see protocol/outcome.py).

The numbers are estimates, made where bytes are counted anyway: sizes of Python's objects, checked against the growth of
a process by `make hostile`.
"""

import ctypes
import threading
from contextlib import suppress
from typing import Final

from streamgauge.errors import OutOfMeans
from streamgauge.units import MIB, show_bytes

POOL_BYTES: Final = 112 * MIB
LOAD_POOL_BYTES: Final = 32 * MIB
"""Of a process under load. It has more in memory that is not counted here: UNREAD_BYTES of each stream, and one large
answer while it is interpreted. So ten users on an endless line take 250 MB in all processes together.
"""
UNREAD_BYTES: Final = 2 * MIB
"""Of a stream under load, in the thread that reads the sockets: with more it reads no more of that stream."""
SHARE_BYTES: Final = 4 * MIB
"""12,000 tokens of 350 bytes. Streams of this size cost the budget nothing: their reads wait unparsed."""
KEPT_SHARE_BYTES: Final = 2 * MIB
"""The same where the wire is kept, 900 tokens: a run of checks keeps some sixty transcripts until it judges them."""
_LARGE_BLOCK_BYTES: Final = 256 * 1024
_MALLOC_SETTINGS: Final = (-3, -1)  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
MOST_OVER: Final = 1.25  # times the pool: from there no response may grow beyond its share


class Holding:
    """What one response takes (see `Memory`); given back when nothing refers to it any more."""

    __slots__ = ("_budget", "_share", "_size", "copies")

    def __init__(self, budget: "MemoryBudget", share_bytes: int, copies: int) -> None:
        self._budget = budget
        self._share = share_bytes
        self._size = 0
        self.copies = copies

    def grow(self, size: int) -> None:
        """See `Memory`: a response may always have its share, and more while the pool has some."""
        before, self._size = self._size, self._size + size
        if self._size > self._share:
            self._budget.draw(max(before - self._share, 0), self._size - self._share)

    def __del__(self) -> None:
        if self._size > self._share:
            self._budget.give_back(self._size - self._share)


class MemoryBudget:
    """The pool of one process. Threads may share it."""

    def __init__(
        self,
        pool_bytes: int = POOL_BYTES,
        *,
        share_bytes: int = SHARE_BYTES,
        kept_share_bytes: int = KEPT_SHARE_BYTES,
        remedy: str = "ask for fewer or shorter answers at once",
    ) -> None:
        """`remedy` says what the user can do when the pool is empty."""
        self._pool, self._share, self._kept_share = pool_bytes, share_bytes, kept_share_bytes
        self._remedy = remedy
        self._drawn = 0
        self._drawers = 0
        self._lock = threading.RLock()  # a collection may run `__del__` of a Holding in the middle of `draw`

    def claim(self, *, kept: bool) -> Holding:
        """The holding of one response; `kept`: its wire, its lines and its events are kept as well."""
        return Holding(self, self._kept_share, 5) if kept else Holding(self, self._share, 1)

    def draw(self, before: int, now: int) -> None:
        """Note that a response takes `now` bytes of the pool, where it took `before`. Raises OutOfMeans.

        When the pool is empty, a response with more than its part of the pool has to end, and the others may grow up to
        theirs, so that one that floods does not end those that do not.
        """
        with self._lock:
            self._drawn += now - before
            self._drawers += not before
            over = self._drawn - self._pool
            too_much = over > 0 and (now * self._drawers >= self._pool or self._drawn > MOST_OVER * self._pool)
        if too_much:
            raise OutOfMeans(
                f"this process has no memory left for the rest of the answer: all long answers together take more than "
                f"{show_bytes(self._pool)}, and this one is among the largest. To measure it: {self._remedy}"
            )

    def give_back(self, size: int) -> None:
        """Note that a response with `size` bytes of the pool is gone."""
        with self._lock:
            self._drawn -= size
            self._drawers -= 1

    @property
    def drawn(self) -> int:
        """The bytes of the pool that responses hold now."""
        return self._drawn


PROCESS: Final = MemoryBudget()
UNDER_LOAD: Final = MemoryBudget(
    LOAD_POOL_BYTES, remedy="--processes N (each process has as much again), or fewer users"
)


def return_large_blocks() -> None:
    """Let glibc give freed blocks of 256 KiB and more back to the system at once; no effect elsewhere.

    By default it keeps blocks of up to 32 MiB for later, and does so the more the larger they were: a process that ten
    streams flooded kept 390 MB, and keeps 230 MB with this.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for setting in _MALLOC_SETTINGS:
            mallopt(setting, _LARGE_BLOCK_BYTES)
