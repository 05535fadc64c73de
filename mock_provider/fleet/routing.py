"""Which replica gets a request. A new policy is a class and a line in `POLICIES`."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Protocol

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.fleet.limits import Routing
from streamgauge.mock_provider.fleet.replica import Replica


class Policy(Protocol):
    """Chooses the index of a replica."""

    def choose(self, replicas: Sequence[Replica], ordinal: int, key: str | None) -> int:
        """The index for request number `ordinal`; `key` is the value of the sticky header, None without one."""


class RoundRobin:
    """In turn; with weights, each replica as often and as evenly spread as its weight says.

    The smooth weighted round robin of nginx: each turn adds every weight, takes the largest sum, and pays for it.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:  # noqa: ARG002 (as all policies)
        self._weights, self._total = weights, sum(weights)
        self._credit = [0.0] * len(weights)

    def choose(self, replicas: Sequence[Replica], ordinal: int, key: str | None) -> int:  # noqa: ARG002
        """The replica that waited longest for its share."""
        self._credit = [credit + weight for credit, weight in zip(self._credit, self._weights, strict=True)]
        # Rounded: sums of decimal weights differ in the last digit, which must not decide.
        chosen = max(range(len(replicas)), key=lambda index: round(self._credit[index], 9))
        self._credit[chosen] -= self._total
        return chosen


class Drawn:
    """By lot, with the weights as chances; the seed and the number of the request decide."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self._bounds, self._seed = _bounds(weights), seed

    def choose(self, replicas: Sequence[Replica], ordinal: int, key: str | None) -> int:  # noqa: ARG002
        """An independent draw for each request."""
        return _place(self._bounds, identity.fraction(self._seed, str(ordinal), "route"))


class LeastConnections:
    """The replica with the fewest requests that run or wait, divided by its weight; of equal ones the least used."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:  # noqa: ARG002
        self._weights = weights
        self._routed = [0] * len(weights)

    def choose(self, replicas: Sequence[Replica], ordinal: int, key: str | None) -> int:  # noqa: ARG002
        """The least loaded replica."""

        def load(index: int) -> tuple[float, float]:
            weight = self._weights[index]
            return replicas[index].connections / weight, self._routed[index] / weight

        chosen = min(range(len(replicas)), key=load)
        self._routed[chosen] += 1
        return chosen


class Sticky:
    """Requests with the same key go to the same replica; requests without a key go in turn."""

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self._bounds, self._others = _bounds(weights), RoundRobin(weights, seed)

    def choose(self, replicas: Sequence[Replica], ordinal: int, key: str | None) -> int:
        """The replica of the key."""
        if key is None:
            return self._others.choose(replicas, ordinal, key)
        return _place(self._bounds, int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:6]) / 2**48)


POLICIES: dict[Routing, Callable[[Sequence[float], int], Policy]] = {
    "round-robin": RoundRobin,
    "random": Drawn,
    "least-connections": LeastConnections,
    "sticky": Sticky,
}


def _bounds(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [bound / total for bound in accumulate(weights)]


def _place(bounds: Sequence[float], fraction: float) -> int:
    return next((index for index, bound in enumerate(bounds) if fraction < bound), len(bounds) - 1)
