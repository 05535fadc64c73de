"""Normal delays, truncated at 0: values below 0 are never drawn, so there is no accumulation at 0."""

from dataclasses import dataclass
from random import Random

from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.timing.base import STANDARD_NORMAL, bounded_ns, standard_normal, two


@dataclass(frozen=True, slots=True)
class Normal:
    """N(mean, deviation) restricted to 0 and above, so the mean of the draws is a little above `mean_ns`."""

    mean_ns: int
    deviation_ns: int

    def draw_ns(self, random: Random) -> int:
        """Takes one random number."""
        below_zero = STANDARD_NORMAL.cdf(-self.mean_ns / self.deviation_ns)
        return bounded_ns(self.mean_ns + self.deviation_ns * standard_normal(random, below_zero))


def parse(arguments: list[str]) -> Normal:
    """`normal(20ms,5ms)`: mean, standard deviation."""
    mean, deviation = map(parse_duration, two(arguments, "normal(20ms,5ms)"))
    if deviation == 0:
        raise ValueError("normal: expected a deviation above 0; without one, write the mean alone")
    return Normal(mean, deviation)
