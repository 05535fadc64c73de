"""A provider with limits: slots, a queue, a prefill rate, gaps that grow with the number of active streams.

With `a` the gap that the itl model draws (its mean, below), `b` = itl-per-active, `k` = knee, `f` = collapse, `P`
prompt tokens, `r` = prefill-rate, `T` tokens, `t` the drawn ttft, `s` slots, and `n` streams that hold a slot:

    itl(n)     = (a + b n) (1 + f max(0, n - k))        each gap, by the n at its beginning
    prefill    = P / r
    S(n)       = prefill + t + T itl(n)                 how long a slot is held; the end takes one more step
    rate(n)    = n / S(n)                               streams a second at a constant n
    saturation = rate(s)
    ttft(n)    = prefill + t                            n <= s streams at once, each followed by the next
    ttft(n)    = (n/s - 1) S(s) + prefill + t           n > s: a cycle takes n/s S(s), and all but S(s) is waiting
    wait(i)    = floor(i / s) S(s)                      the i-th (from 0) of a burst onto an idle server

They are exact for fixed delays and full slots, and averages for random delays. Slots are given in order of arrival. A
slot is free at the moment its stream ends, whatever the end.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one server; the defaults limit nothing. Durations in ns, `prefill_rate` in tokens per second."""

    slots: int | None = None
    queue: int | None = None  # requests that may wait for a slot; None: any number, 0: none
    prefill_rate: float | None = None
    itl_per_active_ns: int = 0
    knee: int | None = None
    collapse: float = 0.0

    def prefill_ns(self, prompt_tokens: int) -> int:
        """Time to read a prompt."""
        return round(prompt_tokens * NS_PER_S / self.prefill_rate) if self.prefill_rate is not None else 0

    def itl_ns(self, gap_ns: int, active: int) -> int:
        """itl(n) for a drawn gap."""
        beyond = max(0, active - self.knee) if self.knee is not None else 0
        return round((gap_ns + self.itl_per_active_ns * active) * (1 + self.collapse * beyond))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The average stream of a load."""

    prompt_tokens: int
    tokens: int
    ttft_ns: int
    itl_ns: int


def service_ns(limits: Limits, work: Work, active: int) -> int:
    """S(n): how long a stream holds its slot."""
    decode_ns = work.tokens * limits.itl_ns(work.itl_ns, active)
    return limits.prefill_ns(work.prompt_tokens) + work.ttft_ns + decode_ns


def rate_per_s(limits: Limits, work: Work, active: int) -> float:
    """rate(n): streams completed a second while n are active."""
    return active * NS_PER_S / service_ns(limits, work, active)


def saturation_per_s(limits: Limits, work: Work) -> float:
    """rate(s): completed streams per second under overload; ValueError without slots, which never saturate."""
    return rate_per_s(limits, work, _slots(limits))


def ttft_ns(limits: Limits, work: Work, concurrency: int) -> int:
    """ttft(n): mean time to the first token, with the wait in the queue, at n concurrent streams."""
    alone_ns = limits.prefill_ns(work.prompt_tokens) + work.ttft_ns
    if limits.slots is None or concurrency <= limits.slots:
        return alone_ns
    return round((concurrency / limits.slots - 1) * service_ns(limits, work, limits.slots)) + alone_ns


def burst_wait_ns(limits: Limits, work: Work, position: int) -> int:
    """wait(i): time in the queue of request i, from 0, of a burst; ValueError without slots."""
    slots = _slots(limits)
    return position // slots * service_ns(limits, work, slots)


def _slots(limits: Limits) -> int:
    if limits.slots is None:
        raise ValueError("without slots a server never saturates")
    return limits.slots


class Seat:
    """The place of one stream: in the queue, then in a slot, which was free since `free_ns` (epoch ns)."""

    __slots__ = ("free_ns", "granted", "taken")

    def __init__(self, granted: Callable[[], object]) -> None:
        self.granted = granted
        self.taken = False
        self.free_ns = 0


class Capacity:
    """The slots of one server and the queue for them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.active = 0
        self._waiting: OrderedDict[Seat, None] = OrderedDict()
        self._left: deque[int] = deque()  # of each free slot used before, the end of its last stream (epoch ns)

    @property
    def full(self) -> bool:
        """Whether there is neither a free slot nor a place in the queue."""
        limits = self.limits
        if limits.slots is None or self.active < limits.slots:
            return False
        return limits.queue is not None and len(self._waiting) >= limits.queue

    def enter(self, granted: Callable[[], object]) -> Seat:
        """Take a free slot, or else a place in the queue; `granted` is called when a queued stream gets its slot."""
        seat = Seat(granted)
        slots = self.limits.slots
        if slots is None or self.active < slots:
            if slots is not None and len(self._left) == slots - self.active:
                seat.free_ns = self._left.popleft()
            self._take(seat)
        else:
            self._waiting[seat] = None
        return seat

    def leave(self, seat: Seat, now_ns: int) -> None:
        """Pass the slot to the stream that waited longest, or give up a place in the queue; may be called twice."""
        if not seat.taken:
            self._waiting.pop(seat, None)
            return
        seat.taken = False
        self.active -= 1
        if self._waiting:
            following, _ = self._waiting.popitem(last=False)
            self._take(following)
            following.granted()
        elif self.limits.slots is not None:
            self._left.append(now_ns)

    def stretch(self, gap_ns: int) -> int:
        """A drawn gap, lengthened by the present load."""
        return self.limits.itl_ns(gap_ns, self.active)

    def _take(self, seat: Seat) -> None:
        seat.taken = True
        self.active += 1
