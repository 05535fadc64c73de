"""The fleet: it routes each request to a replica, and refuses requests above the limit of admission."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from streamgauge.mock_provider.fleet.limits import FleetLimits
from streamgauge.mock_provider.fleet.replica import Replica
from streamgauge.mock_provider.fleet.routing import POLICIES

Refuser = Literal["gateway", "replica"]


class Fleet:
    """Replicas behind one address; `clock` gives CLOCK_REALTIME ns, or simulated time."""

    def __init__(self, limits: FleetLimits, clock: Callable[[], int], seed: int = 0) -> None:
        self._clock, self._seed = clock, seed
        self.refused = 0  # by the limit of admission, before a replica
        self.replicas: Sequence[Replica] = ()
        self.limits = limits
        self.configure(limits)

    def configure(self, limits: FleetLimits) -> None:
        """Change the limits of a running fleet. A new replica is cold, a removed one finishes its streams."""
        kept = self.replicas[: len(limits.replicas)]
        added = [
            Replica(limits.replicas[number], self._clock, number) for number in range(len(kept), len(limits.replicas))
        ]
        self.replicas = (*kept, *added)
        for replica, own_limits in zip(self.replicas, limits.replicas, strict=True):
            replica.configure(own_limits)
        self._policy = POLICIES[limits.routing](limits.weights, self._seed)
        self.limits = limits

    @property
    def connections(self) -> int:
        """Number of streams that run or wait."""
        return sum(replica.connections for replica in self.replicas)

    def state(self) -> dict[str, Any]:
        """The truth about every replica, as the control API tells it."""
        return {"refused": self.refused, "replicas": [replica.state() for replica in self.replicas]}

    def route(self, ordinal: int, key: str | None = None) -> Replica:
        """The replica for request number `ordinal`; `key` is the value of the sticky header."""
        if len(self.replicas) == 1:
            return self.replicas[0]
        return self.replicas[self._policy.choose(self.replicas, ordinal, key)]

    def refuses(self, replica: Replica) -> Refuser | None:
        """Who refuses a request that was routed to `replica`, and counts it; None: it has a place."""
        if self.limits.admit is not None and self.connections >= self.limits.admit:
            self.refused += 1
            return "gateway"
        if replica.full:
            replica.counts.refused += 1
            return "replica"
        return None
