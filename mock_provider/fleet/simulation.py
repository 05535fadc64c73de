"""The fleet in simulated time: the code of a server's replicas, driven by an event queue in place of a clock.

A second of load takes about a millisecond, and nothing is random, so a closed form can be compared exactly.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final

from streamgauge.mock_provider.capacity import Work
from streamgauge.mock_provider.fleet.fleet import Fleet
from streamgauge.mock_provider.fleet.limits import FleetLimits
from streamgauge.mock_provider.fleet.replica import Replica, Seat

RETRY_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Served:
    """One request and what became of it; times in ns from the start of the simulation."""

    seq: int
    user: int
    arrival_ns: int
    prompt_tokens: int
    replica: int
    cached_tokens: int | None = None
    tokens_written: int = 0
    slot_ns: int | None = None  # None: it never got a slot
    first_ns: int | None = None
    end_ns: int | None = None
    status: int = 200

    @property
    def wait_ns(self) -> int | None:
        """Time in the queue."""
        return None if self.slot_ns is None else self.slot_ns - self.arrival_ns

    @property
    def ttft_ns(self) -> int | None:
        """Time from the request to the first token."""
        return None if self.first_ns is None else self.first_ns - self.arrival_ns


class Simulation:
    """A fleet and its clock. `work` gives the work of request number `seq`, from 0.

    `conversation` gives the texts of that request, for the prefix cache: their words then are the prompt's tokens.
    """

    def __init__(
        self,
        limits: FleetLimits,
        work: Work | Callable[[int], Work],
        seed: int = 0,
        conversation: Callable[[int], Sequence[str]] | None = None,
    ) -> None:
        self.now_ns = 0
        self.fleet = Fleet(limits, lambda: self.now_ns, seed)
        self.served: list[Served] = []
        self._work = work if callable(work) else lambda _: work
        self._conversation = conversation
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._ordinal = 0

    def run(self, until_ns: int | None = None) -> list[Served]:
        """Play the events, those of `users` included, up to `until_ns`, and return every request so far."""
        while self._events and (until_ns is None or self._events[0][0] <= until_ns):
            self.now_ns, _, callback = heappop(self._events)
            callback()
        return self.served

    def at(self, time_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` at `time_ns`; equal times in the order of the calls."""
        self._ordinal += 1
        heappush(self._events, (time_ns, self._ordinal, callback))

    def arrivals(self, times_ns: Iterable[int]) -> None:
        """An open load: one request at each time, each of a new user."""
        for user, time_ns in enumerate(times_ns):
            self.at(time_ns, lambda user=user: self.request(user, lambda _: None))  # type: ignore[misc]

    def users(self, count: int, until_ns: int, *, think_ns: int = 0, spread_ns: int = 0, first: int = 0) -> None:
        """A closed load: `count` users from now on; each asks again `think_ns` after its answer, or RETRY_NS after a
        refusal, until `until_ns`. They begin `spread_ns` apart."""

        def ask(user: int) -> None:
            if self.now_ns < until_ns:
                self.request(user, lambda served: again(user, served))

        def again(user: int, served: Served) -> None:
            pause_ns = think_ns if served.status == 200 else max(think_ns, RETRY_NS)
            self.at(self.now_ns + pause_ns, lambda: ask(user))

        for user in range(first, first + count):
            self.at(self.now_ns + (user - first) * spread_ns, lambda user=user: ask(user))  # type: ignore[misc]

    def request(self, user: int, ended: Callable[[Served], None]) -> None:
        """Send one request now; `ended` is called at its end."""
        seq = len(self.served)
        replica = self.fleet.route(seq, f"user-{user}")
        work = self._work(seq)
        prefix = None
        if replica.cache is not None and self._conversation is not None:
            prefix = replica.cache.find(self._conversation(seq))
            work = replace(work, prompt_tokens=prefix.tokens, cached_tokens=prefix.cached)
        served = Served(seq, user, self.now_ns, work.prompt_tokens, replica.number, work.cached_tokens)
        self.served.append(served)
        if self.fleet.refuses(replica):
            served.status, served.end_ns = 429, self.now_ns
            ended(served)
            return
        if replica.cache is not None and prefix is not None:
            replica.cache.add(prefix)
        _Stream(self, replica, work, served, ended).start()


class _Stream:
    """One admitted request, from its arrival to its end."""

    def __init__(
        self, simulation: Simulation, replica: Replica, work: Work, served: Served, ended: Callable[[Served], None]
    ) -> None:
        self._simulation, self._replica, self._work = simulation, replica, work
        self._served, self._ended = served, ended
        self._seat: Seat | None = None

    def start(self) -> None:
        tokens = self._work.prompt_tokens + self._work.tokens
        self._seat = self._replica.enter(self._granted, tokens, self._served)
        timeout_ns = self._replica.limits.queue_timeout_ns
        if self._seat.taken:
            self._granted()
        elif timeout_ns is not None:
            # By a second event: a slot that becomes free at the very end of the timeout is still in time.
            deadline_ns = self._simulation.now_ns + timeout_ns
            self._simulation.at(deadline_ns, lambda: self._simulation.at(deadline_ns, self._timed_out))

    def _granted(self) -> None:
        # By an event, as the server does it: the end of the stream before it must be over.
        self._simulation.at(self._simulation.now_ns, self._begin)

    def _begin(self) -> None:
        assert self._seat is not None
        work, limits = self._work, self._replica.limits
        self._served.slot_ns = self._simulation.now_ns
        unloaded_ns = limits.prefill_ns(work.prompt_tokens - work.cached_tokens) + work.ttft_ns
        self._simulation.at(self._simulation.now_ns + self._replica.first_ns(self._seat, unloaded_ns), self._first)

    def _first(self) -> None:
        served, work = self._served, self._work
        served.first_ns = self._simulation.now_ns
        if self._replica.limits.elastic:
            self._token()
        else:  # all gaps are equal whatever happens meanwhile
            served.tokens_written = work.tokens
            self._simulation.at(self._simulation.now_ns + work.tokens * work.itl_ns + work.tail_ns, self._end)

    def _token(self) -> None:
        served, work = self._served, self._work
        if served.tokens_written < work.tokens:
            served.tokens_written += 1
            gap_ns = self._replica.stretch(work.itl_ns)
            last = served.tokens_written == work.tokens
            self._simulation.at(self._simulation.now_ns + gap_ns + (work.tail_ns if last else 0), self._token)
        else:
            self._end()

    def _end(self) -> None:
        assert self._seat is not None
        self._served.end_ns = self._simulation.now_ns
        self._replica.leave(self._seat)
        self._ended(self._served)

    def _timed_out(self) -> None:
        assert self._seat is not None
        if self._seat in self._replica.waiting:
            self._replica.give_up(self._seat)
            self._served.status, self._served.end_ns = 503, self._simulation.now_ns
            self._ended(self._served)
