"""Uniform delays between two bounds."""

from dataclasses import dataclass
from random import Random

from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.timing.base import bounded_ns, two


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every delay from `low_ns` to `high_ns` is equally likely."""

    low_ns: int
    high_ns: int

    def draw_ns(self, random: Random) -> int:
        """Takes one random number."""
        return bounded_ns(self.low_ns + (self.high_ns - self.low_ns) * random.random())


def parse(arguments: list[str]) -> Uniform:
    """`uniform(10ms,30ms)`."""
    low, high = map(parse_duration, two(arguments, "uniform(10ms,30ms)"))
    if low > high:
        raise ValueError(f"uniform: expected the lower bound first, got {','.join(arguments)}")
    return Uniform(low, high)
