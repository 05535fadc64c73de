"""What several replicas behind one address can do: the limits of each, their shares, and the admission before them."""

from dataclasses import dataclass
from typing import Literal

from streamgauge.mock_provider.capacity import Limits

Routing = Literal["round-robin", "random", "least-connections", "sticky"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLimits:
    """The replicas in their order; `weights` are the relative shares of requests that the routing aims at."""

    replicas: tuple[Limits, ...] = (Limits(),)
    weights: tuple[float, ...] = (1.0,)
    routing: Routing = "round-robin"
    admit: int | None = None  # requests that may run or wait in all replicas together; more are refused

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, so that their sum is 1."""
        total = sum(self.weights)
        return tuple(weight / total for weight in self.weights)

    @property
    def even(self) -> bool:
        """Whether all replicas are equal and have equal weights."""
        return len(set(self.replicas)) == len(set(self.weights)) == 1
