"""Five kinds of endpoint with a capacity that is a closed form: what each holds, and which objective ends it."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from streamgauge.mock_provider.capacity import Limits, Work
from streamgauge.units import MS
from tests.harness.capacity.simulated import System

Z95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """An endpoint, its objectives, the largest number of users that meets them, and the objective that ends it.

    `load_s` is the time under load that a median search may take, a sixth above what it takes.
    """

    system: System
    slos: tuple[str, ...]
    truth: int
    binding: str
    load_s: float


def longer_than(wait_ns: float, users: int, system: System) -> float:
    """The share of streams that wait longer for a slot of one replica: Erlang distributed over `users - slots` ends."""
    slots, stages = system.limits.slots or users, users - (system.limits.slots or users)
    if stages <= 0:
        return 0.0
    ends = wait_ns * slots / (system.work.tokens * system.work.itl_ns)
    term = total = 1.0
    for stage in range(1, stages):
        term *= ends / stage
        total += term
    return math.exp(-ends) * total


def share_waiting(wait_ns: float, users: int, system: System) -> float:
    """The share of streams of all replicas that wait longer; each replica counts by its throughput."""
    homes = system.homes(users)
    each = [homes.count(replica) for replica in range(len(system.weights))]
    rates = [min(count, system.limits.slots or count) for count in each]
    late = sum(rate * longer_than(wait_ns, count, system) for rate, count in zip(rates, each, strict=True) if count)
    return late / sum(rates)


def largest_waiting(wait_ns: float, system: System) -> int:
    """The largest number of users of which at most 5 % of the streams wait longer, as do all smaller numbers."""
    users = 1
    while share_waiting(wait_ns, users + 1, system) <= 0.05:
        users += 1
    return users


def largest_in_time(limit_ns: float, system: System) -> int:
    """The largest number of users whose time per output token has a p95 below the limit."""
    work, slowest = system.work, math.exp(Z95 * system.sigma) * system.work.tokens / (system.work.tokens - 1)
    users = 1
    while system.limits.itl_ns(work.itl_ns, users + 1) * slowest < limit_ns:
        users += 1
    return users


WORK = Work(prompt_tokens=0, tokens=20, ttft_ns=40 * MS, itl_ns=20 * MS)
IN_SLOTS = Work(prompt_tokens=0, tokens=20, ttft_ns=0, itl_ns=20 * MS)

_KNEE = System(limits=Limits(itl_per_active_ns=3 * MS), work=WORK)
_CLIFF = System(limits=Limits(itl_per_active_ns=MS // 2, knee=9, collapse=0.6), work=WORK)
_QUEUE = System(limits=Limits(slots=6), work=IN_SLOTS, exponential=True)
_REFUSING = System(limits=Limits(slots=6, queue=3), work=WORK)
_REPLICAS = System(limits=Limits(slots=4), work=IN_SLOTS, exponential=True, weights=(0.5, 0.3, 0.2))

SETTINGS = {
    "knee": Setting(
        system=_KNEE,
        slos=("tpot p95 < 65ms", "ttft p95 < 1s"),
        truth=largest_in_time(65 * MS, _KNEE),
        binding="tpot p95 < 65ms",
        load_s=260,
    ),
    "cliff": Setting(
        system=_CLIFF, slos=("tpot p95 < 35ms", "ttft p95 < 1s"), truth=9, binding="tpot p95 < 35ms", load_s=85
    ),
    "queue": Setting(
        system=_QUEUE,
        slos=("ttft p95 < 500ms", "tpot p95 < 100ms"),
        truth=largest_waiting(500 * MS, _QUEUE),
        binding="ttft p95 < 500ms",
        load_s=400,
    ),
    "429": Setting(
        system=_REFUSING, slos=("ttft p95 < 1s", "tpot p95 < 100ms"), truth=6 + 3, binding="error_rate < 5%", load_s=85
    ),
    "replicas": Setting(
        system=_REPLICAS,
        slos=("ttft p95 < 500ms", "tpot p95 < 100ms"),
        truth=largest_waiting(500 * MS, _REPLICAS),
        binding="ttft p95 < 500ms",
        load_s=330,
    ),
}


def mean_wait_ns(users: int, system: System) -> float:
    """The mean of the Erlang distribution above, to be compared with the mock's own closed form."""
    slots = system.limits.slots or users
    return max(users - slots, 0) * system.work.tokens * system.work.itl_ns / slots
