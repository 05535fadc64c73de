"""Log-normal delays, which have a long tail; half the median is as likely as twice the median."""

import math
from dataclasses import dataclass
from random import Random

from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.timing.base import bounded_ns, positive_number, standard_normal, two

MOST_SIGMA = 10.0


@dataclass(frozen=True, slots=True)
class LogNormal:
    """median * e^(sigma * N(0, 1)); the mean is median * e^(sigma^2 / 2)."""

    median_ns: int
    sigma: float

    def draw_ns(self, random: Random) -> int:
        """Takes one random number."""
        return bounded_ns(self.median_ns * math.exp(self.sigma * standard_normal(random)))


def parse(arguments: list[str]) -> LogNormal:
    """`lognormal(20ms,0.5)`: median, sigma of the logarithm."""
    median, sigma = two(arguments, "lognormal(20ms,0.5)")
    return LogNormal(parse_duration(median), positive_number(sigma, "sigma", MOST_SIGMA))
