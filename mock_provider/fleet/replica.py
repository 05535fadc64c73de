"""One replica: its slots, the queue for them, and what makes it slow for a while.

The clock is a parameter, so that the same code runs in a server and in simulated time (see `simulation`).
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.fleet.counts import Counts, Histogram
from streamgauge.mock_provider.fleet.prefix_cache import PrefixCache

ENDLESS = 2**63 - 1  # the size of a stream without an end


class Stream(Protocol):
    """The stream that holds a seat, as the gauges see it."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of its prompt."""

    @property
    def cached_tokens(self) -> int | None:
        """Those of them that the prefix cache had; None without a cache."""

    @property
    def tokens_written(self) -> int:
        """Tokens that it has produced so far."""


class Seat:
    """The place of one stream: in the queue, then in a slot, which was free since `free_ns`. Times in ns."""

    __slots__ = (
        "delay_ns",
        "entered_ns",
        "first_ns",
        "free_ns",
        "granted",
        "queued_ns",
        "slot",
        "stream",
        "taken",
        "tokens",
    )

    def __init__(self, granted: Callable[[], object], tokens: int, stream: Stream | None, entered_ns: int) -> None:
        self.granted, self.tokens, self.stream, self.entered_ns = granted, tokens, stream, entered_ns
        self.taken = False
        self.free_ns = 0
        self.delay_ns = 0  # how much later a cold replica begins
        self.queued_ns = 0  # how long it waited for its slot
        self.first_ns = 0  # time from its slot to its first token
        self.slot: int | None = None  # its number, from 0


class Replica:
    """The slots of one replica and the queue for them; `clock` gives CLOCK_REALTIME ns, or simulated time."""

    def __init__(self, limits: Limits, clock: Callable[[], int], number: int = 0) -> None:
        self.limits, self.number = limits, number
        self.cache = _cache(limits)
        self.counts = Counts()
        self.queue_time, self.prefill = Histogram(), Histogram()  # of completed streams, as vLLM counts them
        self.running: dict[Seat, None] = {}
        self.waiting: dict[Seat, None] = {}  # in order of arrival
        self._clock = clock
        self._left: deque[int] = deque()  # of each free slot used before, the end of its last stream
        self._free: list[int] = []  # numbers of free slots below `_numbered`
        self._numbered = 0
        self._warmed = 0  # streams since the replica was cold
        self._idle_ns: int | None = None  # when the last stream ended, if none runs
        self._slow = False
        self._empty_ns = 0  # since when the queue of a slow replica has been empty

    @property
    def name(self) -> str:
        """Its name in answers and in the ledger."""
        return f"replica-{self.number}"

    @property
    def active(self) -> int:
        """Number of streams that hold a slot."""
        return len(self.running)

    @property
    def connections(self) -> int:
        """Number of streams that run or wait."""
        return len(self.running) + len(self.waiting)

    @property
    def full(self) -> bool:
        """Whether there is neither a free slot nor a place in the queue."""
        limits = self.limits
        if limits.slots is None or len(self.running) < limits.slots:
            return False
        return limits.queue is not None and len(self.waiting) >= limits.queue

    @property
    def overloaded(self) -> bool:
        """Whether it is slow: its queue reached `overload_at`, and has not been empty for long enough since then."""
        if self._slow and not self.waiting and self._clock() - self._empty_ns >= self.limits.recovery_ns:
            self._slow = False
        return self._slow

    def state(self) -> dict[str, Any]:
        """Its present state and its counts, as the control API tells them."""
        counts = self.counts
        return {
            "name": self.name,
            "running": len(self.running),
            "waiting": len(self.waiting),
            "overloaded": self.overloaded,
            **vars(counts),
        }

    def enter(self, granted: Callable[[], object], tokens: int | None = 0, stream: Stream | None = None) -> Seat:
        """Take a free slot, or else a place in the queue; `granted` is called when a queued stream gets its slot.

        `tokens` of prompt and answer are the size by which `queue_order` shortest chooses; None: endless.
        """
        now_ns = self._clock()
        seat = Seat(granted, tokens if tokens is not None else ENDLESS, stream, now_ns)
        self.counts.streams += 1
        if stream is not None:
            self.counts.prompt_tokens += stream.prompt_tokens
            self.counts.cached_tokens += stream.cached_tokens or 0
        slots = self.limits.slots
        if slots is None or len(self.running) < slots:
            if slots is not None and len(self._left) >= slots - len(self.running):
                seat.free_ns = self._left.popleft()
            self._take(seat, now_ns)
        else:
            self.waiting[seat] = None
            if self.limits.overload_at is not None and len(self.waiting) >= self.limits.overload_at:
                self._slow = True
        return seat

    def leave(self, seat: Seat, *, completed: bool = True) -> None:
        """Pass the slot to a stream that waits, or give up a place in the queue; may be called twice."""
        if not seat.taken:
            if seat in self.waiting:
                self._unqueue(seat)
                self.counts.aborted += 1
            return
        now_ns = self._clock()
        seat.taken = False
        del self.running[seat]
        if seat.slot is not None:
            heappush(self._free, seat.slot)
        self._count_end(seat, completed=completed)
        if self.limits.slots is not None:
            self._left.append(now_ns)
        self._serve_queue()
        if not self.running:
            self._idle_ns = now_ns

    def give_up(self, seat: Seat) -> None:
        """End the wait of a queued stream because it took too long."""
        self._unqueue(seat)
        self.counts.timed_out += 1

    def configure(self, limits: Limits) -> None:
        """Change the limits; running streams keep their slots."""
        before, self.limits = self.limits, limits
        if (before.cache_blocks, before.block_tokens) != (limits.cache_blocks, limits.block_tokens):
            self.cache = _cache(limits)
        self._serve_queue()

    def _serve_queue(self) -> None:
        """Give free slots to streams that wait."""
        now_ns, slots = self._clock(), self.limits.slots
        while self.waiting and (slots is None or len(self.running) < slots):
            following = self._following()
            self._unqueue(following)
            if self._left:
                self._left.popleft()
            self._take(following, now_ns)
            following.granted()

    def stretch(self, gap_ns: int) -> int:
        """A drawn gap, lengthened by the present load."""
        gap_ns = self.limits.itl_ns(gap_ns, len(self.running))
        return round(gap_ns * self.limits.overload_factor) if self._slow and self.overloaded else gap_ns

    def first_ns(self, seat: Seat, unloaded_ns: int) -> int:
        """Time from the grant of the slot to the first token; `unloaded_ns` is the prefill and the drawn ttft."""
        duration_ns = self.limits.first_ns(unloaded_ns)
        if self._slow and self.overloaded:
            duration_ns = round(duration_ns * self.limits.overload_factor)
        seat.first_ns = duration_ns + seat.delay_ns
        return seat.first_ns

    def _following(self) -> Seat:
        match self.limits.queue_order:
            case "fifo":
                return next(iter(self.waiting))
            case "lifo":
                return next(reversed(self.waiting))
            case "shortest":  # of equal sizes the first, because a dict keeps the order of arrival
                return min(self.waiting, key=lambda seat: seat.tokens)

    def _unqueue(self, seat: Seat) -> None:
        del self.waiting[seat]
        if not self.waiting:
            self._empty_ns = self._clock()

    def _take(self, seat: Seat, now_ns: int) -> None:
        limits = self.limits
        idle_ns = now_ns - self._idle_ns if self._idle_ns is not None else 0
        if limits.cold_after_ns is not None and idle_ns >= limits.cold_after_ns:
            self._warmed = 0
        self._idle_ns = None
        if self._warmed < limits.cold_requests:
            self._warmed += 1
            self.counts.cold_starts += 1
            seat.delay_ns = limits.cold_ns
        if self._free:
            seat.slot = heappop(self._free)
        else:
            seat.slot = self._numbered
            self._numbered += 1
        seat.taken = True
        self.running[seat] = None
        seat.queued_ns = max(0, now_ns - seat.entered_ns)

    def _count_end(self, seat: Seat, *, completed: bool) -> None:
        tokens = seat.stream.tokens_written if seat.stream is not None else 0
        self.counts.tokens += tokens
        if not completed:
            self.counts.aborted += 1
            return
        self.counts.completed += 1
        self.counts.completed_tokens += tokens
        self.queue_time.add(seat.queued_ns)
        self.prefill.add(seat.first_ns)


def _cache(limits: Limits) -> PrefixCache | None:
    return PrefixCache(limits.cache_blocks, limits.block_tokens) if limits.cache_blocks is not None else None
