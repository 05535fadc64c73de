"""A provider with limits: slots, a queue, a prefill rate, gaps that grow with the number of active streams.

With `a` the gap that the itl model draws (its mean, below), `b` = itl-per-active, `k` = knee, `f` = collapse, `P`
prompt tokens, `c` of them in the prefix cache, `r` = prefill-rate, `T` tokens, `t` the drawn ttft, `h` the mean time
that an end is held back (tail-hold), `v` = speed, `s` slots, and `n` streams that hold a slot:

    itl(n)     = (a + b n) (1 + f max(0, n - k)) / v    each gap, by the n at its beginning
    first      = ((P - c) / r + t) / v
    S(n)       = first + T itl(n) + h                   how long a slot is held; the end takes one more step
    rate(n)    = n / S(n)                               streams a second at a constant n
    saturation = rate(s)
    ttft(n)    = first                                  n <= s streams at once, each followed by the next
    ttft(n)    = (n/s - 1) S(s) + first                 n > s: a cycle takes n/s S(s), and all but S(s) is waiting
    wait(i)    = floor(i / s) S(s)                      the i-th (from 0) of a burst onto an idle server

They are exact for fixed delays and full slots, and averages for random delays. Slots are given in order of arrival,
unless `queue_order` says otherwise. A slot is free at the moment its stream ends, whatever the end. `fleet.forms` has
the forms of several replicas, of refusals, timeouts, other orders of the queue, cold starts, overload and the cache.
"""

from dataclasses import dataclass
from typing import Literal

NS_PER_S = 1_000_000_000

QueueOrder = Literal["fifo", "lifo", "shortest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one replica; the defaults limit nothing. Durations in ns, `prefill_rate` in tokens per second."""

    slots: int | None = None
    queue: int | None = None  # requests that may wait for a slot; None: any number, 0: none
    prefill_rate: float | None = None
    itl_per_active_ns: int = 0
    knee: int | None = None
    collapse: float = 0.0
    speed: float = 1.0  # 0.5: everything that a stream does in its slot takes twice as long
    queue_order: QueueOrder = "fifo"
    queue_timeout_ns: int | None = None  # longest wait for a slot; None: for ever
    cold_requests: int = 0  # the first streams of a cold replica, each of which begins `cold_ns` later
    cold_ns: int = 0
    cold_after_ns: int | None = None  # without a stream for so long, the replica is cold again; None: never
    overload_at: int | None = None  # so many waiting requests make the replica slow; None: nothing does
    overload_factor: float = 1.0  # by which a slow replica takes longer
    recovery_ns: int = 0  # a slow replica recovers when its queue has been empty for so long
    cache_blocks: int | None = None  # of the prefix cache; None: there is none
    block_tokens: int = 16

    @property
    def elastic(self) -> bool:
        """Whether the state of the replica changes the gaps between tokens."""
        return bool(self.itl_per_active_ns or self.collapse or self.overload_at is not None) or self.speed != 1

    def prefill_ns(self, prompt_tokens: int) -> int:
        """Time to read a prompt at speed 1."""
        return round(prompt_tokens * NS_PER_S / self.prefill_rate) if self.prefill_rate is not None else 0

    def first_ns(self, unloaded_ns: int) -> int:
        """`first`, for the prefill and the drawn ttft of a stream."""
        return unloaded_ns if self.speed == 1 else round(unloaded_ns / self.speed)

    def itl_ns(self, gap_ns: int, active: int) -> int:
        """itl(n) for a drawn gap."""
        beyond = max(0, active - self.knee) if self.knee is not None else 0
        return round((gap_ns + self.itl_per_active_ns * active) * (1 + self.collapse * beyond) / self.speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The average stream of a load."""

    prompt_tokens: int
    tokens: int
    ttft_ns: int
    itl_ns: int
    cached_tokens: int = 0  # of the prompt, so they need no prefill
    tail_ns: int = 0  # time that the end is held back: for a share p of the streams and a hold h, p h


def first_ns(limits: Limits, work: Work) -> int:
    """`first`: from the grant of a slot to the first token."""
    return limits.first_ns(limits.prefill_ns(work.prompt_tokens - work.cached_tokens) + work.ttft_ns)


def service_ns(limits: Limits, work: Work, active: int) -> int:
    """S(n): how long a stream holds its slot."""
    return first_ns(limits, work) + work.tokens * limits.itl_ns(work.itl_ns, active) + work.tail_ns


def rate_per_s(limits: Limits, work: Work, active: int) -> float:
    """rate(n): streams completed a second while n are active."""
    return active * NS_PER_S / service_ns(limits, work, active)


def saturation_per_s(limits: Limits, work: Work) -> float:
    """rate(s): completed streams per second under overload; ValueError without slots, which never saturate."""
    return rate_per_s(limits, work, slots_of(limits))


def ttft_ns(limits: Limits, work: Work, concurrency: float) -> int:
    """ttft(n): mean time to the first token, with the wait in the queue, at n concurrent streams."""
    alone_ns = first_ns(limits, work)
    if limits.slots is None or concurrency <= limits.slots:
        return alone_ns
    return round((concurrency / limits.slots - 1) * service_ns(limits, work, limits.slots)) + alone_ns


def burst_wait_ns(limits: Limits, work: Work, position: int) -> int:
    """wait(i): time in the queue of request i, from 0, of a burst; ValueError without slots."""
    slots = slots_of(limits)
    return position // slots * service_ns(limits, work, slots)


def slots_of(limits: Limits) -> int:
    """The number of slots; ValueError without slots."""
    if limits.slots is None:
        raise ValueError("without slots a server never saturates")
    return limits.slots
