"""The native reader: a thread outside the GIL that reads many sockets. reader_core.h explains how it works.

Times are integers in ns. Deadlines are on the monotonic clock (`time.monotonic_ns`); the times of reads and ends are
epoch times (`time.time_ns`).
"""

from typing import Final, NamedTuple, Protocol, TypedDict, final

VERSION: Final[int]

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

class Taken(NamedTuple):
    """What `Reader.take` moved out. The arrays are packed in the machine's byte order, an item for each read."""

    data: bytes  # of all reads, joined
    t_ns: bytes  # int64: the kernel's arrival stamp
    user_ns: bytes  # int64: when recvmsg returned
    empty_ns: bytes  # int64: when the socket was last known to be empty; all bytes of the read came later; 0: not known
    sizes: bytes  # uint32
    unstamped: bytes  # uint32: indexes of reads without a usable stamp; their t_ns is their user_ns. Usually empty
    ended: int | None  # None while the socket is open, 0 after the end of file, errno after an error
    ended_ns: int | None  # when the thread noticed the end

class Stats(TypedDict):
    reads: int
    bytes: int
    wakes: int  # times that a slot was put into the ready list
    stored: int  # bytes in memory now, with 32 bytes for each read
    pauses: int  # times that a slot reached most_stream_bytes
    holds: int  # times that all reading stopped at most_bytes
    held_ns: int  # for how long
    cpu_ns: int  # of the thread
    realtime: bool  # the thread runs in the class SCHED_RR, where nice and slice do not matter
    nice: int | None  # the nice value of the thread; None when it was not tried, or refused
    slice_ns: int | None  # the thread's time slice; None where the kernel cannot set one

@final
class Reader:
    """One reading thread. Every call but `close` raises RuntimeError after `close`, and in a forked child.

    A call with a slot that was removed raises ValueError.
    """

    # What a policy can ask for, and why a slot is ready.
    FIRST: Final = 1  # bytes are stored; once for each arm
    EVERY: Final = 2  # a read was stored
    SIZE: Final = 4  # at least `size` bytes are stored
    TAIL: Final = 8  # the bytes end with `tail`; a part of it may have been taken before
    # Why a slot is ready: these wake every armed slot.
    END: Final = 16  # the peer closed its side
    ERROR: Final = 32  # reading failed
    DEADLINE: Final = 64  # once for each arm
    SILENCE: Final = 128  # once for each arm
    FULL: Final = 256  # reading is paused until stored bytes are taken
    TAIL_MOST: Final = 16  # bytes of a tail

    def __new__(cls, *, most_bytes: int, most_stream_bytes: int, realtime: bool = True, nice: int = -10) -> Reader:
        """Start the thread. Raises OSError when the system cannot.

        A stream with `most_stream_bytes` stored is paused; with `most_bytes` stored in all, nothing is read. A read
        counts 32 bytes besides its own. The last read before a pause may exceed a limit by 64 KiB.

        The thread tries to get the real-time class SCHED_RR, then the nice value; `stats` says what it got.
        """

    def fileno(self) -> int:
        """A descriptor that is readable while `ready` would return something. It may be so once too often."""

    def add(self, descriptor: int | _HasFileno, /) -> int:
        """Store from now on all that arrives at this connected stream socket; returns its slot.

        The descriptor stays the caller's. Call `remove` before it is closed. The caller turns SO_TIMESTAMPNS on.
        Raises OSError when the descriptor cannot be watched.
        """

    def arm(
        self, slot: int, wake: int, *, size: int = 0, tail: bytes = b"", deadline_ns: int = 0, silence_ns: int = 0
    ) -> bool:
        """Say when the slot becomes ready, in place of what was said before; reasons not yet seen are dropped.

        `deadline_ns` is a monotonic time; `silence_ns` is counted from now, or from the last read; 0 is none. True when
        something holds already (bytes that were stored before count): the slot is ready at once.
        """

    def disarm(self, slot: int, /) -> None:
        """Not ready until the next `arm`. Bytes are stored all the same."""

    def ready(self) -> list[tuple[int, int]]:
        """Each slot that has become ready since the last call, once, with its reasons (bits)."""

    def take(self, slot: int, /) -> Taken:
        """Move all stored reads out. They may be none."""

    def stored(self, slot: int, /) -> tuple[int, int | None]:
        """The number of stored bytes, and `ended` as in Taken."""

    def remove(self, slot: int, /) -> None:
        """Forget the slot and its bytes. When this returns, the thread does not use the descriptor any more."""

    def stats(self) -> Stats: ...
    def close(self) -> None:
        """End the thread and forget all slots."""
