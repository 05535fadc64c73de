"""Closed forms of the fleet: what a load must find, for each setting of `FleetSettings`.

S, rate, first and ttft are those of `capacity`, for one replica. Further, `R` replicas, `w_i` the share of requests
that replica i gets, `q` places in its queue, `A` = admit, `D` = queue-timeout, and n users who each have one request in
flight and ask again at once. Every form holds for fixed delays; those marked (*) hold for random ones, too.

One replica, the most users for a limit: of ttft, s + floor(s (limit - first) / S); of itl, the largest n <= s with
itl(n) within it; of the whole duration, ttft(n) + S(min(n, s)) - first. The peak of rate(n) for n <= s is the most that
it can do: with a knee and a collapse it lies below the saturation's n = s.

Replicas

    saturation = sum rate_i(s)                 least-connections, equal weights: every slot is always busy
    saturation = min_i rate_i(s) / w_i         (*) other routings: the replica with the most work for its speed
    p_i        = w_i, or rate_i(s) / X         share of requests of replica i; the second for least-connections at X,
                                               which is the saturation
    users      = R s                           without waiting: least-connections; or round-robin, equal replicas
    users      = floor(min_i (s / (w_i S_i)) sum w_j S_j)      round-robin in the steady state, any speeds and weights
    ttft(n)    = n / X - sum p_i (S_i - first_i)               beyond these users; the mean of all requests
    ttft(n)    = sum w_i first_i               up to these users, and the quantiles of that mixture; (*) round-robin
    wait       = floor((n - s) / s) S to ceil((n - s) / s) S   n > s: every single wait for one replica, in steady state
    replicas   = ceil(n / c)                   for n users, if one replica holds c; with shares: n w_i <= c for all i
    think time Z adds users who ask nothing: n = c (S + Z) / S, by Little's law

Refusals

    users      = min(A, R (s + q))             nobody is refused; one more user, and somebody always is
    burst of m = m - min(A, R (s + q))         refused
    Erlang B   = share refused without a queue, if arrivals are Poisson; (*) for any distribution of S
    Erlang B with a queue, Erlang C            for exponential S: ttft=gamma(T,1), tokens=1, itl=0

Order of the queue, of a burst of m onto s idle slots; i counts from 0, and all have the same S

    fifo       wait(i) = floor(i / s) S
    lifo       wait(i) = (1 + floor((m - 1 - i) / s)) S for i >= s, else 0
    shortest   as fifo, by size: with s = 1 the wait is the sum of the first and all shorter ones

Timeout    users = s (1 + floor(D / S)) a replica: nobody waits longer than D, if all users begin at once
Cold start the first N streams of each replica begin `cold_ns` later: mean of the first m: cold min(R N, m) / m
Overload   with factor g: saturation / g, g ttft(n). At n users it begins if n >= s + overload-at, and never ends while
           n > s: so capacity is larger from below than from above. W waiting and no more requests: recovered after
           ceil(W / s) g S + recovery at most, and one g S sooner at least
Cache      b words a block, K blocks: a prompt of P words that shares its first c words with an earlier one reads
           P - cached words, cached = b floor(min(c, P - 1) / b). Of m prompts in turn, of B blocks each and with
           nothing in common, each finds min(B, max(0, K - (m - 1) B)) blocks: all if m B <= K, none if K <= (m - 1) B.
           Turn j of a session finds turn j - 1 with sticky routing, turn j - R in turn, and by lot turn j - i with the
           chance (1 - 1/R)^(i - 1) / R
Tail hold  a share p of the streams ends h later: S + p h
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from streamgauge.mock_provider.capacity import (
    NS_PER_S,
    Limits,
    Work,
    first_ns,
    rate_per_s,
    saturation_per_s,
    service_ns,
    slots_of,
    ttft_ns,
)
from streamgauge.mock_provider.fleet.limits import FleetLimits

_ROUNDING = 1e-9  # sums of shares differ in the last digits


def fleet_saturation_per_s(fleet: FleetLimits, work: Work) -> float:
    """Streams that the fleet completes a second under overload, at most."""
    rates = [saturation_per_s(limits, work) for limits in fleet.replicas]
    if fleet.routing == "least-connections" and len(set(fleet.weights)) == 1:
        return sum(rates)
    return min(rate / share for rate, share in zip(rates, fleet.shares, strict=True))


def request_shares(fleet: FleetLimits, work: Work) -> tuple[float, ...]:
    """Share of the requests that each replica gets; with least-connections, at saturation."""
    if not _balanced(fleet):
        return fleet.shares
    rates = [saturation_per_s(limits, work) for limits in fleet.replicas]
    return tuple(rate / sum(rates) for rate in rates)


def users_without_waiting(fleet: FleetLimits, work: Work | None = None) -> int:
    """Users of which none waits for a slot; ValueError where the routing makes that a matter of chance.

    Round-robin over unequal replicas needs `work`; the number then holds in the steady state, not at its beginning.
    """
    if _balanced(fleet) or (fleet.even and fleet.routing == "round-robin"):
        return sum(slots_of(limits) for limits in fleet.replicas)
    if fleet.routing != "round-robin" or work is None:
        raise ValueError("expected least-connections with equal weights, or round-robin and the work of a stream")
    services = [service_ns(limits, work, slots_of(limits)) for limits in fleet.replicas]
    in_flight = [share * service for share, service in zip(fleet.shares, services, strict=True)]  # per request a ns
    most = min(slots_of(limits) / each for limits, each in zip(fleet.replicas, in_flight, strict=True))
    return math.floor(most * sum(in_flight) + _ROUNDING)


def users_without_refusal(fleet: FleetLimits) -> int:
    """Users of which none is refused; ValueError where the routing makes that a matter of chance, or nobody is."""
    places = [_places(limits) for limits in fleet.replicas]
    if not math.isinf(sum(places)) and not (fleet.even and fleet.routing == "round-robin") and not _balanced(fleet):
        raise ValueError("expected least-connections with equal weights, or round-robin over equal replicas")
    most = min(sum(places), fleet.admit if fleet.admit is not None else math.inf)
    if math.isinf(most):
        raise ValueError("without admit, or slots and a queue with an end, nobody is refused")
    return int(most)


def fleet_ttft_ns(fleet: FleetLimits, work: Work, users: int) -> int:
    """Mean time to the first token at `users`, over all requests, in the steady state.

    ValueError for random and sticky routing, and for least-connections over unequal replicas with idle slots.
    """
    firsts = [first_ns(limits, work) for limits in fleet.replicas]
    shares = request_shares(fleet, work)
    if users <= users_without_waiting(fleet, work):
        if _balanced(fleet) and len(set(firsts)) > 1:
            raise ValueError("below saturation, unequal replicas have no form: idle slots differ in speed")
        return round(sum(share * first for share, first in zip(shares, firsts, strict=True)))
    services = [service_ns(limits, work, slots_of(limits)) for limits in fleet.replicas]
    after_first = sum(share * (service - first) for share, service, first in zip(shares, services, firsts, strict=True))
    return round(users / fleet_saturation_per_s(fleet, work) * NS_PER_S - after_first)


def ttft_quantile_ns(fleet: FleetLimits, work: Work, quantile: float) -> int:
    """The time to the first token that a share `quantile` of the requests does not exceed, while nobody waits."""
    if _balanced(fleet) and not fleet.even:
        raise ValueError("below saturation, unequal replicas have no form: idle slots differ in speed")
    firsts = sorted(zip((first_ns(limits, work) for limits in fleet.replicas), fleet.shares, strict=True))
    reached = accumulate(share for _, share in firsts)
    return next(first for (first, _), share in zip(firsts, reached, strict=True) if share >= quantile - _ROUNDING)


def wait_bounds_ns(limits: Limits, work: Work, users: int) -> tuple[int, int]:
    """The shortest and the longest wait for a slot of one replica in the steady state, however the users began."""
    slots = slots_of(limits)
    service, beyond = service_ns(limits, work, slots), max(0, users - slots)
    return beyond // slots * service, -(-beyond // slots) * service


def users_for_ttft(limits: Limits, work: Work, longest_ns: int) -> int:
    """The most users of one replica whose mean ttft(n) is at most `longest_ns`; 0 if even one waits longer."""
    spare_ns = longest_ns - first_ns(limits, work)
    if spare_ns < 0:
        return 0
    slots = slots_of(limits)
    return slots + math.floor(slots * spare_ns / service_ns(limits, work, slots))


def users_for_itl(limits: Limits, work: Work, longest_ns: int) -> int:
    """The most users of one replica whose gaps are at most `longest_ns`; ValueError if any number of users has them."""
    if limits.itl_ns(work.itl_ns, slots_of(limits)) <= longest_ns:
        raise ValueError("expected a gap below that of full slots: more users wait, and their gaps are the same")
    return _most(lambda users: limits.itl_ns(work.itl_ns, users) <= longest_ns, slots_of(limits))


def duration_ns(limits: Limits, work: Work, users: int) -> int:
    """Mean time from the request to the end of the stream at `users` of one replica."""
    active = min(users, slots_of(limits))
    after_first = service_ns(limits, work, active) - first_ns(limits, work)
    return ttft_ns(limits, work, users) + after_first


def users_for_duration(limits: Limits, work: Work, longest_ns: int) -> int:
    """The most users of one replica whose streams take `longest_ns` at most on average, the wait included."""
    beyond = slots_of(limits) * (2 + longest_ns // service_ns(limits, work, slots_of(limits)))
    return _most(lambda users: duration_ns(limits, work, users) <= longest_ns, beyond)


def peak(limits: Limits, work: Work) -> tuple[int, float]:
    """The number of active streams with the highest throughput, and that throughput: with a knee, it falls beyond."""
    best = max(range(1, slots_of(limits) + 1), key=lambda active: rate_per_s(limits, work, active))
    return best, rate_per_s(limits, work, best)


def users_without_timeout(limits: Limits, work: Work) -> int:
    """Users of one replica who begin at once, and of which none waits longer than `queue_timeout_ns`."""
    if limits.queue_timeout_ns is None:
        raise ValueError("without queue_timeout_ns, nobody's wait is ended")
    slots = slots_of(limits)
    return slots * (1 + limits.queue_timeout_ns // service_ns(limits, work, slots))


def replicas_for(users: int, held: int, shares: Sequence[float] | None = None) -> int:
    """Replicas for `users` if one holds `held`; `shares` are relative: the last ones may be cut off, none is added.

    ValueError if the given shares cannot hold them.
    """
    if held < 1:
        raise ValueError("one replica holds nobody: no number of replicas is enough")
    if shares is None:
        return math.ceil(users / held)
    for count in range(1, len(shares) + 1):
        used = shares[:count]
        if max(used) / sum(used) * users <= held:
            return count
    raise ValueError(f"{len(shares)} replicas with these shares do not hold {users} users")


def users_with_think_time(held: int, service: int, think: int) -> float:
    """Users with a pause of `think` between answer and request that keep `held` requests of `service` in flight."""
    return held * (service + think) / service


def burst_refused(fleet: FleetLimits, requests: int) -> int:
    """How many of `requests` at once onto an idle fleet are refused."""
    return max(0, requests - users_without_refusal(fleet))


def lifo_wait_ns(limits: Limits, work: Work, position: int, burst: int) -> int:
    """Time in a last-in-first-out queue of request `position`, from 0, of a burst."""
    slots = slots_of(limits)
    if position < slots:
        return 0
    return (1 + (burst - 1 - position) // slots) * service_ns(limits, work, slots)


def shortest_waits_ns(services_ns: Sequence[int]) -> list[int]:
    """Time in the queue of each request of a burst onto one slot; the first runs, then the shortest goes first."""
    waits = [0] * len(services_ns)
    clock = services_ns[0]
    for index in sorted(range(1, len(services_ns)), key=lambda index: services_ns[index]):
        waits[index] = clock
        clock += services_ns[index]
    return waits


def cold_mean_ns(fleet: FleetLimits, requests: int) -> float:
    """How much later the first `requests` begin on average because replicas are cold; they are spread evenly."""
    return sum(
        limits.cold_ns * min(limits.cold_requests, requests / len(fleet.replicas)) for limits in fleet.replicas
    ) / max(1, requests)


def overloaded_saturation_per_s(limits: Limits, work: Work) -> float:
    """Streams completed a second while the replica is slow."""
    return saturation_per_s(limits, work) / limits.overload_factor


def users_from_below(limits: Limits) -> int:
    """The most users that do not make the replica slow, if they come one by one."""
    if limits.overload_at is None:
        raise ValueError("without overload_at, nothing makes the replica slow")
    return slots_of(limits) + limits.overload_at - 1


def users_from_above(limits: Limits) -> int:
    """The most users with whom a slow replica recovers: those who leave its queue empty."""
    return slots_of(limits)


def recovery_ns(limits: Limits, work: Work, waiting: int) -> tuple[int, int]:
    """Least and most time until a slow replica with `waiting` requests, and no more to come, is as fast as before."""
    slots = slots_of(limits)
    slow_ns = round(service_ns(limits, work, slots) * limits.overload_factor)
    waves = math.ceil(waiting / slots)
    return max(0, waves - 1) * slow_ns + limits.recovery_ns, waves * slow_ns + limits.recovery_ns


def cached_tokens(common: int, prompt_tokens: int, block: int) -> int:
    """Words of a prompt that the cache has, if its first `common` words came before: whole blocks, never all of it."""
    return min(common, prompt_tokens - 1) // block * block


def session_cached_tokens(fleet: FleetLimits, prompts: Sequence[int], block: int) -> list[float]:
    """Mean number of cached words of each turn of one session alone, whose prompts have so many words.

    Each prompt begins with the one before. A turn finds the newest turn that went to the same replica.
    """
    replicas, found = len(fleet.replicas), []
    for turn, words in enumerate(prompts):
        earlier = [cached_tokens(before, words, block) for before in reversed(prompts[:turn])]  # newest first
        if fleet.routing == "sticky":
            found.append(float(earlier[0]) if earlier else 0.0)
        elif len(set(fleet.weights)) > 1:
            raise ValueError("expected equal weights, or sticky routing")
        elif fleet.routing == "random":
            chances = [(1 / replicas) * (1 - 1 / replicas) ** age for age in range(turn)]
            found.append(sum(chance * cached for chance, cached in zip(chances, earlier, strict=True)))
        else:  # in turn: with one session alone, least-connections goes in turn as well
            found.append(float(earlier[replicas - 1]) if turn >= replicas else 0.0)
    return found


def cycle_found(prompts: int, blocks: int, capacity: int) -> int:
    """Blocks that each of `prompts` finds, sent in turn, of `blocks` blocks each and with nothing in common."""
    return min(blocks, max(0, capacity - (prompts - 1) * blocks))


def erlang_b(slots: int, load: float, queue: int = 0) -> float:
    """Share of requests refused at `load` = arrivals a second times S; with a queue, for exponential S only."""
    blocked = 1.0
    for used in range(1, slots + 1):
        blocked = load * blocked / (used + load * blocked)
    for _ in range(queue):
        blocked = load * blocked / (slots + load * blocked)
    return blocked


def erlang_c(slots: int, load: float) -> float:
    """Share of requests that wait in a queue without end, for exponential S; ValueError from saturation on."""
    if load >= slots:
        raise ValueError(f"expected a load below {slots}, the number of slots, got {load:g}: the queue has no end")
    blocked = erlang_b(slots, load)
    return slots * blocked / (slots - load * (1 - blocked))


def mean_wait_s(slots: int, load: float, service_s: float) -> float:
    """Mean time in the queue of all requests, for exponential S."""
    return erlang_c(slots, load) * service_s / (slots - load)


def _most(holds: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that holds, if all smaller ones do."""
    return bisect_left(range(1, most + 1), True, key=lambda users: not holds(users))


def _places(limits: Limits) -> float:
    if limits.slots is None or limits.queue is None:
        return math.inf
    return limits.slots + limits.queue


def _balanced(fleet: FleetLimits) -> bool:
    """Whether the numbers of requests in two replicas differ by one at most, and the slots are equally many."""
    equal = len({(limits.slots, limits.queue) for limits in fleet.replicas}) == len(set(fleet.weights)) == 1
    return equal and fleet.routing == "least-connections"
