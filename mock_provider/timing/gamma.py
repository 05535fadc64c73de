"""Gamma-distributed delays; shape 1 is the exponential distribution of a Poisson process."""

from dataclasses import dataclass
from random import Random

from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.timing.base import bounded_ns, positive_number, two

MOST_SHAPE = 1_000.0


@dataclass(frozen=True, slots=True)
class Gamma:
    """Mean `mean_ns`; the standard deviation is mean / sqrt(shape)."""

    mean_ns: int
    shape: float

    def draw_ns(self, random: Random) -> int:
        """Takes a varying number of random numbers (rejection sampling)."""
        return bounded_ns(random.gammavariate(self.shape, 1 / self.shape) * self.mean_ns)


def parse(arguments: list[str]) -> Gamma:
    """`gamma(20ms,2)`: mean, shape."""
    mean, shape = two(arguments, "gamma(20ms,2)")
    return Gamma(parse_duration(mean), positive_number(shape, "shape", MOST_SHAPE))
